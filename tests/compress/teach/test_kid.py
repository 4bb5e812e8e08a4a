"""KID of both directions of a CycleGAN."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.teach import kid as directions
from compress.teach.convergence import KidCheck
from compress.training import kid

KID = kid.Kid(mean=0.25, spread=0.5, metric="kid_efficientnet_lite0", network="efficientnet-lite0")


@pytest.fixture
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)


def _pretend(monkeypatch: pytest.MonkeyPatch, answer: Callable[[np.ndarray, Path], kid.Kid | None]) -> list[str]:
    """In place of the measurement, a function of the images and of the folder of real ones; return the networks."""
    networks: list[str] = []

    def measure(fake: np.ndarray, real: Path, scratch: Path, *, network: str) -> kid.Kid | None:
        networks.append(network)
        return answer(fake, real)

    monkeypatch.setattr(directions, "measure_kid", measure)
    return networks


def test_a_check_holds_each_domain_s_images_against_its_own_real_ones(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, tmp_path: Path
) -> None:
    fake = {"real_a": photos, "real_b": 255 - photos}
    networks = _pretend(monkeypatch, lambda made, real: KID if np.array_equal(made, fake[real.name]) else None)
    check = directions.measure_directions(
        7,
        fake_a=fake["real_a"],
        fake_b=fake["real_b"],
        real_a=tmp_path / "real_a",
        real_b=tmp_path / "real_b",
        scratch=tmp_path,
    )
    assert check == KidCheck(7, KID, KID)
    # The first one chose; were the second one free to, a download that fails in between would change the scale.
    assert networks == ["auto", "efficientnet-lite0"]


def test_a_check_keeps_the_direction_that_could_be_measured(
    monkeypatch: pytest.MonkeyPatch, photos: np.ndarray, tmp_path: Path
) -> None:
    _pretend(monkeypatch, lambda _, real: KID if real.name == "real_a" else None)
    real_a, real_b = tmp_path / "real_a", tmp_path / "real_b"
    check = directions.measure_directions(
        7, fake_a=photos, fake_b=photos, real_a=real_a, real_b=real_b, scratch=tmp_path
    )
    assert check == KidCheck(7, None, KID)
