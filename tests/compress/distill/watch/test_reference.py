"""Real images that are held back for KID."""

from pathlib import Path

import numpy as np
import pytest

from compress import images
from compress.distill.config import DistillConfig
from compress.distill.watch.reference import Watch, hold_back_real_images, watch_held_back
from compress.errors import UsageError
from compress.training import kid


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A hundred images of domain B, and two of domain A."""
    for folder, count in (("trainA", 2), ("trainB", 100)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            images.write_png(tmp_path / folder / f"{number:03d}.png", np.full((4, 4, 3), number, np.uint8))
    return tmp_path


def test_a_tenth_of_the_target_domain_at_most_is_held_back(data: Path) -> None:
    drawn = hold_back_real_images(data, "A", 64, 0)
    assert len(set(drawn)) == 10
    assert {path.parent.name for path in drawn} == {"trainB"}
    assert len(hold_back_real_images(data, "A", 6, 0)) == 6
    assert hold_back_real_images(data, "A", 64, 0) == drawn
    assert hold_back_real_images(data, "A", 64, 1) != drawn


def test_without_a_target_domain_or_with_too_few_of_its_images_none_is_held_back(data: Path) -> None:
    assert hold_back_real_images(data, "both", 64, 0) == []
    assert hold_back_real_images(data, "B", 64, 0) == []
    assert hold_back_real_images(data, "A", 3, 0) == []
    (data / "trainB").rename(data / "elsewhere")
    assert hold_back_real_images(data, "A", 64, 0) == []
    (data / "trainB").mkdir()
    assert hold_back_real_images(data, "A", 64, 0) == []


def test_a_distillation_is_watched_as_its_configuration_says(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kid, "check_scoring_available", lambda: None)
    assert watch_held_back(data, DistillConfig(watch_kid=False)) is None
    watch = watch_held_back(data, DistillConfig(holdout=7, patience=3))
    assert watch == Watch(hold_back_real_images(data, "A", 7, 0), patience=None)
    stopping = watch_held_back(data, DistillConfig(patience=3, stop_when_converged=True))
    assert stopping is not None
    assert stopping.patience == 3


def test_missing_packages_are_said_only_where_kid_is_watched(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kid.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match="--no-watch-kid"):
        watch_held_back(data, DistillConfig())
    assert watch_held_back(data, DistillConfig(watch_kid=False)) is None


def test_a_patience_of_no_check_is_refused() -> None:
    with pytest.raises(UsageError, match="patience = 0"):
        DistillConfig(patience=0)
