"""Kernel distance between two sets of features; with Inception features it is the KID.

Two estimates of the same quantity: the customary mean over torch-fidelity's random subsets, and the one over all
images, which a bootstrap can repeat a thousand times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eval.confidence import float_blocks, resampled_sums

SUBSETS = 100
LARGEST_SUBSET = 1000

_ROWS_AT_ONCE = 1024
"""Most rows, and most columns, of kernels in memory at once: 8 MB of float64 numbers."""


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
    """Return the squared maximum mean discrepancy under the cubic polynomial kernel, as torch-fidelity: over subsets.

    Args:
        real: `(images, features)` float32, at least four images.
        fake: `(images, features)` float32, at least four images.
        seed: Draws the subsets, the very ones that torch-fidelity draws.

    Source: Binkowski et al. 2018, Demystifying MMD GANs, arXiv:1801.01401, section 4.
    """
    size = subset_size(len(real), len(fake))
    # torch-fidelity's generator, whose numbers NumPy keeps as they are.
    draws = np.random.RandomState(seed)
    first, second = np.empty((2, SUBSETS, size), np.int64)
    for subset in range(SUBSETS):
        first[subset] = draws.choice(len(real), size, replace=False)
        second[subset] = draws.choice(len(fake), size, replace=False)
    # All kernels once where subsets overlap so much that theirs are more.
    overlap = len(real) * len(fake) < SUBSETS * size**2
    distances = (_distances_by_table if overlap else _distances_one_by_one)(real, fake, first, second)
    return KernelDistance(
        mean=float(distances.mean()), spread=float(distances.std()), subsets=SUBSETS, subset_size=size
    )


def _distances_one_by_one(real: np.ndarray, fake: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the `unbiased_kernel_distance` of subsets, `(subsets,)`; `first` and `second` hold images' numbers."""
    pairs = zip(first, second, strict=True)
    return np.array([unbiased_kernel_distance(real[ours], fake[theirs]) for ours, theirs in pairs])


def _distances_by_table(real: np.ndarray, fake: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the same, from each kernel once."""
    size = first.shape[1]
    ours, theirs = _members(first, len(real)), _members(second, len(fake))
    within = [
        _weighted_sums(features, counts) - resampled_sums(_own_kernels(features), counts)
        for features, counts in ((real, ours), (fake, theirs))
    ]
    across = np.zeros(len(first))
    for rows in _blocks(len(real)):
        for columns in _blocks(len(fake)):
            table = _kernel(real[rows], fake[columns])
            across += np.einsum("sj,sj->s", ours[:, rows].astype(np.float64) @ table, theirs[:, columns])
    return (within[0] + within[1]) / (size * (size - 1)) - 2 * across / size**2


def _members(subsets: np.ndarray, images: int) -> np.ndarray:
    """Return how often each subset holds each image: `(subsets, images)`."""
    counts = np.zeros((len(subsets), images), np.int64)
    np.put_along_axis(counts, subsets, 1, axis=1)
    return counts


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
    images = counts.sum(axis=1)
    across = resampled_sums(_sums_of_rows(fake, real), counts) / (len(real) * images)
    within_real = (_sums_of_rows(real, real) - _own_kernels(real)).sum() / (len(real) * (len(real) - 1))
    own = _own_kernels(fake)
    pairs = _weighted_sums(fake, counts) - np.concatenate([block**2 @ own for block in float_blocks(counts)])
    squares = np.concatenate([(block**2).sum(axis=1) for block in float_blocks(counts)])
    within_fake = pairs / (images.astype(np.float64) ** 2 - squares)
    return within_real + within_fake - 2 * across


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    wide = first.astype(np.float64)
    other = wide if second is first else second.astype(np.float64)
    return (wide @ other.T / first.shape[1] + 1) ** 3


def _own_kernels(features: np.ndarray) -> np.ndarray:
    """Return the kernel of each image with itself: `(images,)`."""
    means = [(features[block].astype(np.float64) ** 2).mean(axis=1) for block in _blocks(len(features))]
    return (np.concatenate(means) + 1) ** 3


def _blocks(images: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, images, _ROWS_AT_ONCE)]


def _sums_of_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum, for each image of the first set, its kernels with the second set: `(images,)`."""
    return np.concatenate([_sum_row_block(first, block, second) for block in _blocks(len(first))])


def _sum_row_block(first: np.ndarray, rows: slice, second: np.ndarray) -> np.ndarray:
    return _sum_in_halves(len(second), lambda columns: _kernels(first, rows, second, columns).sum(axis=1))


def _weighted_sums(features: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum, for each resample, all kernels within it, an image with itself included: `(resamples,)`."""
    total = np.zeros(len(counts))
    for block in _blocks(len(features)):
        total += _weigh_row_block(features, block, counts)
    return total


def _weigh_row_block(features: np.ndarray, rows: slice, counts: np.ndarray) -> np.ndarray:
    weights = counts[:, rows].astype(np.float64)

    def weigh(columns: slice) -> np.ndarray:
        weighted = weights @ _kernels(features, rows, features, columns)
        weighted *= counts[:, columns]
        return weighted.sum(axis=1)

    return _sum_in_halves(len(features), weigh)


def _kernels(first: np.ndarray, rows: slice, second: np.ndarray, columns: slice) -> np.ndarray:
    """Return a part of the table of kernels: `(rows, columns)`."""
    whole = first is second and len(first) <= _ROWS_AT_ONCE
    # Of one array with itself NumPy computes half, which may round otherwise: so a small set's table, and no part of a
    # larger one's.
    return _kernel(first, first) if whole else _kernel(first[rows], second[columns])


def _sum_in_halves(columns: int, sum_part: Callable[[slice], np.ndarray], start: int = 0) -> np.ndarray:
    """Sum over columns a part at a time, in halves and halves of them, of multiples of 8, until a part is small enough.

    That is the order in which NumPy sums a row (pairwise), so the sum is that of the whole row, to the last bit.
    """
    if columns <= _ROWS_AT_ONCE:
        return sum_part(slice(start, start + columns))
    half = columns // 2 // 8 * 8
    return _sum_in_halves(half, sum_part, start) + _sum_in_halves(columns - half, sum_part, start + half)
