"""Precision and recall against the definition, and cases known in advance; torch-fidelity's value: see torch_side."""

import numpy as np
import pytest

from eval.distribution import precision_recall as module
from eval.distribution.precision_recall import NEIGHBOURS, precision_recall


def cloud(seed: int, images: int, *, centre: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(centre, scale, size=(images, 6)).astype(np.float32)


def share_within_reach(points: np.ndarray, centres: np.ndarray) -> float:
    """Return the share of points no further from some centre than its third nearest neighbour among the centres."""
    among = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    reach = np.sort(among, axis=1)[:, NEIGHBOURS]
    return float((np.linalg.norm(points[:, None] - centres[None], axis=2) <= reach).any(axis=1).mean())


def test_equal_sets_are_precise_and_covered() -> None:
    features = cloud(0, 20)
    measured = precision_recall(features, features[::-1].copy())
    assert (measured.precision, measured.recall) == (1.0, 1.0)


def test_sets_far_apart_are_neither() -> None:
    measured = precision_recall(cloud(0, 20), cloud(1, 15, centre=50.0))
    assert (measured.precision, measured.recall) == (0.0, 0.0)


def test_collapsed_fakes_are_precise_but_cover_little() -> None:
    measured = precision_recall(cloud(0, 60), cloud(1, 60, scale=0.05))
    assert measured.precision > 0.9
    assert measured.recall < 0.1


@pytest.mark.parametrize("rows", [1024, 7], ids=["all distances at once", "some rows at once"])
def test_shares_are_those_of_the_definition(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", rows)
    real, fake = cloud(0, 40), cloud(1, 25, centre=0.8, scale=1.3)
    measured = precision_recall(real, fake)
    # No exact shares of 0 or 1, which a swap of the two sets could hide.
    assert 0.1 < measured.recall != measured.precision < 0.9
    assert measured.precision == pytest.approx(share_within_reach(fake, real))
    assert measured.recall == pytest.approx(share_within_reach(real, fake))


def test_images_far_from_zero_and_near_each_other_are_told_apart() -> None:
    real, fake = cloud(0, 40), cloud(1, 25, centre=0.8, scale=1.3)
    far = [(features + np.float32(1000)).astype(np.float32) for features in (real, fake)]
    assert precision_recall(*far) == precision_recall(*(features - np.float32(1000) for features in far))
