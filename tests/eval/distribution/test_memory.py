"""Memory of the distances grows with features alone, and what is computed in parts is what would be at once."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eval.confidence import resample_counts
from eval.distribution import fid, kid, precision_recall

FEATURES, FEW_RESAMPLES = 8, 100
FEW_IMAGES, MANY_IMAGES = 1000, 3000
MOST_BYTES_PER_IMAGE = 12 * 8 * FEATURES + FEW_RESAMPLES
"""A dozen numbers for each of an image's features, and a byte for each count."""

Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
DISTANCES = {"fd": fid.resampled_frechet_distances, "kid": kid.resampled_kernel_distances}
MEASURES: dict[str, Callable[..., Any]] = DISTANCES | {
    "subsets": lambda real, fake, _: kid.kernel_distance(real, fake, seed=0),
    "shares": lambda real, fake, _: precision_recall.precision_recall(real, fake),
}


def features(seed: int, images: int, width: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(images, width)).astype(np.float32)


def peak_bytes(measure: Callable[..., Any], images: int) -> int:
    real, fake = features(0, images), features(1, images)
    tracemalloc.start()
    try:
        measure(real, fake, resample_counts(images, seed=0, resamples=FEW_RESAMPLES))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that the fewer images are many of them, too."""
    monkeypatch.setattr("eval.confidence._BLOCK_BYTES", 2**18)
    monkeypatch.setattr(kid, "_ROWS_AT_ONCE", 256)
    monkeypatch.setattr(kid, "LARGEST_SUBSET", 50)
    monkeypatch.setattr(precision_recall, "_ROWS_AT_ONCE", 256)
    monkeypatch.setattr(fid, "_BLOCK_BYTES", 2**14)
    monkeypatch.setattr(fid, "_GATHERED_BYTES", 2**12)
    monkeypatch.setattr(fid.os, "cpu_count", lambda: 1)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_memory_grows_with_features_alone(measure: Callable[..., Any], small_parts: None) -> None:
    more = peak_bytes(measure, MANY_IMAGES) - peak_bytes(measure, FEW_IMAGES)
    assert more < MOST_BYTES_PER_IMAGE * (MANY_IMAGES - FEW_IMAGES)


@pytest.mark.parametrize("images", [40, 1503])
def test_distances_in_small_parts_are_the_same(images: int, request: pytest.FixtureRequest) -> None:
    real, fake = features(0, 1200, 24), features(1, images, 24)
    counts = resample_counts(images, seed=0, resamples=40)
    whole = {name: distance(real, fake, counts) for name, distance in DISTANCES.items()}
    once = fid.frechet_distance(real, fake)
    request.getfixturevalue("small_parts")
    for name, distance in DISTANCES.items():
        np.testing.assert_allclose(distance(real, fake, counts), whole[name], rtol=1e-7)
    assert fid.frechet_distance(real, fake) == pytest.approx(once, rel=1e-7)


def test_kernel_distances_are_those_of_whole_tables() -> None:
    real, fake = features(0, 1100), features(1, 1500)
    counts = resample_counts(1500, seed=0, resamples=40)
    wide_real, wide_fake, weights = real.astype(np.float64), fake.astype(np.float64), counts.astype(np.float64)

    def kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first @ second.T / FEATURES + 1) ** 3

    within_real, across, within_fake = (
        kernel(wide_real, wide_real),
        kernel(wide_fake, wide_real),
        kernel(wide_fake, wide_fake),
    )
    expected = (
        (within_real.sum() - within_real.trace()) / (1100 * 1099)
        - 2 * (weights @ across.sum(axis=1)) / (1100 * 1500)
        + (((weights @ within_fake) * weights).sum(axis=1) - weights**2 @ within_fake.diagonal())
        / (1500**2 - (weights**2).sum(axis=1))
    )
    np.testing.assert_allclose(kid.resampled_kernel_distances(real, fake, counts), expected, rtol=1e-9)


@pytest.mark.parametrize("columns", [7, 64, 129, 1000, 2048, 5003])
def test_a_row_summed_in_halves_is_the_row_summed_at_once(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores are the same numbers as those of earlier versions only while this holds to the last bit."""
    table = np.random.default_rng(0).normal(size=(3, columns))
    monkeypatch.setattr(kid, "_ROWS_AT_ONCE", 128)
    parts: list[int] = []

    def sum_part(part: slice) -> np.ndarray:
        parts.append(part.stop - part.start)
        return table[:, part].sum(axis=1)

    np.testing.assert_array_equal(kid._sum_in_halves(columns, sum_part), table.sum(axis=1))
    assert sum(parts) == columns
    assert max(parts) <= 128
