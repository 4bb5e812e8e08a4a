"""The kernel distance over all images and over resamples, against sums that are written out; without torch."""

import subprocess
import sys

import numpy as np
import pytest

from eval.confidence import resample_counts
from eval.distribution.kid import resampled_kernel_distances, unbiased_kernel_distance


def kernel(first: np.ndarray, second: np.ndarray) -> float:
    return float((first @ second / len(first) + 1) ** 3)


def mean_over_pairs(images: np.ndarray, names: np.ndarray) -> float:
    """The mean kernel of all pairs whose names differ."""
    kernels = [
        kernel(first, second)
        for first, one in zip(images, names, strict=True)
        for second, other in zip(images, names, strict=True)
        if one != other
    ]
    return float(np.mean(kernels))


def written_out(real: np.ndarray, fake: np.ndarray, names: np.ndarray) -> float:
    across = np.mean([kernel(one, other) for one in real for other in fake])
    return mean_over_pairs(real, np.arange(len(real))) + mean_over_pairs(fake, names) - 2 * float(across)


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(9, 5)).astype(np.float32), rng.normal(0.4, 1.3, size=(7, 5)).astype(np.float32)


def test_distance_is_the_sum_over_pairs_of_different_images(sets: tuple[np.ndarray, np.ndarray]) -> None:
    real, fake = sets
    expected = written_out(real.astype(np.float64), fake.astype(np.float64), np.arange(7))
    assert unbiased_kernel_distance(real, fake) == pytest.approx(expected, rel=1e-9)


def test_a_repeated_image_is_no_pair_with_itself(sets: tuple[np.ndarray, np.ndarray]) -> None:
    real, fake = sets
    counts = resample_counts(7, seed=0, resamples=12)
    expected = []
    for times in counts:
        names = np.repeat(np.arange(7), times)
        expected.append(written_out(real.astype(np.float64), fake[names].astype(np.float64), names))
    assert counts.max() > 1
    assert resampled_kernel_distances(real, fake, counts) == pytest.approx(expected, rel=1e-9)


def test_mean_of_the_resamples_is_the_distance() -> None:
    # A resample's pairs of different images are pairs of the whole, so that nothing is biased, duplicates or not.
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(30, 6)), rng.normal(0.3, 1.2, size=(30, 6))
    resampled = resampled_kernel_distances(real, fake, resample_counts(30, seed=0, resamples=2000))
    error = 3 * resampled.std() / np.sqrt(len(resampled))
    assert resampled.mean() == pytest.approx(unbiased_kernel_distance(real, fake), abs=error)


def test_confidence_needs_no_torch() -> None:
    modules = ("confidence", "distribution.fid", "distribution.kid", "distribution.precision_recall")
    imports = ", ".join(f"eval.{module}" for module in modules)
    program = f"import sys, {imports}; print('torch' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"
