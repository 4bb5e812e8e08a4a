"""Kernel distance between two sets of features; with Inception features it is the KID.

Two estimates of the same quantity: torch-fidelity's customary mean over random subsets, and the one over all images,
which a bootstrap can repeat a thousand times.
"""

from dataclasses import dataclass

import numpy as np

SUBSETS = 100
LARGEST_SUBSET = 1000

_ROWS_AT_ONCE = 1024
"""Rows of kernels in memory at once: 1024 x images float64 numbers."""


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """Mean and standard deviation over random subsets; the mean is unbiased and may fall below 0."""

    mean: float
    spread: float
    subsets: int
    subset_size: int


def subset_size(real_images: int, fake_images: int) -> int:
    """Return how many images a subset has: the customary 1000, or half of the smaller folder where that is less.

    Subsets of a whole folder would all be the same one and their spread 0. Of halves, drawn without replacement, it is
    about the standard error of the mean over the whole folder.
    """
    return min(LARGEST_SUBSET, min(real_images, fake_images) // 2)


def kernel_distance(real: np.ndarray, fake: np.ndarray, *, seed: int) -> KernelDistance:
    """Return the squared maximum mean discrepancy under the cubic polynomial kernel, through torch-fidelity.

    Args:
        real: `(images, features)` float32, at least four images.
        fake: `(images, features)` float32, at least four images.
        seed: Draws the subsets.

    Source: Binkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401, section 4.
    """
    # Imported here, since the rest of this file works without torch.
    import torch
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    size = subset_size(len(real), len(fake))
    metric = kid_features_to_metric(
        torch.from_numpy(real),
        torch.from_numpy(fake),
        kid_subsets=SUBSETS,
        kid_subset_size=size,
        rng_seed=seed,
        verbose=False,
    )
    return KernelDistance(
        mean=metric[KEY_METRIC_KID_MEAN], spread=metric[KEY_METRIC_KID_STD], subsets=SUBSETS, subset_size=size
    )


def unbiased_kernel_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the kernel distance over all images at once: no subsets, so no seed and no spread.

    Args:
        real: `(images, features)`, at least two images.
        fake: `(images, features)`, at least two images; any other number of them.

    Returns:
        May fall below 0.

    Source: Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, equation 3.
    """
    return float(resampled_kernel_distances(real, fake, np.ones((1, len(fake)), np.int64))[0])


def resampled_kernel_distances(real: np.ndarray, fake: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the `unbiased_kernel_distance` of resamples of the generated images.

    An image that a resample holds twice is no pair with itself: only pairs of different images count, each as often as
    the resample holds it.

    Args:
        real: `(images, features)`, at least two images; not resampled.
        fake: `(images, features)`.
        counts: `(resamples, images)`, from `eval.confidence.resample_counts`: at least two different images in each.

    Returns:
        `(resamples,)` float64.
    """
    wide_real, wide_fake = real.astype(np.float64), fake.astype(np.float64)
    weights = counts.astype(np.float64)
    images = weights.sum(axis=1)
    across = weights @ _sums_of_rows(wide_fake, wide_real) / (len(real) * images)
    within_real = (_sums_of_rows(wide_real, wide_real) - _own_kernels(wide_real)).sum() / (len(real) * (len(real) - 1))
    squares = weights**2
    pairs = _weighted_sums(wide_fake, weights) - squares @ _own_kernels(wide_fake)
    within_fake = pairs / (images**2 - squares.sum(axis=1))
    return within_real + within_fake - 2 * across


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _own_kernels(features: np.ndarray) -> np.ndarray:
    """Return the kernel of each image with itself: `(images,)`."""
    return ((features**2).mean(axis=1) + 1) ** 3


def _blocks(images: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, images, _ROWS_AT_ONCE)]


def _sums_of_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum, for each image of the first set, its kernels with the second set: `(images,)`."""
    return np.concatenate([_kernel(first[block], second).sum(axis=1) for block in _blocks(len(first))])


def _weighted_sums(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum, for each row of weights, all kernels within the set, an image with itself included: `(rows,)`."""
    total = np.zeros(len(weights))
    for block in _blocks(len(features)):
        total += ((weights[:, block] @ _kernel(features[block], features)) * weights).sum(axis=1)
    return total
