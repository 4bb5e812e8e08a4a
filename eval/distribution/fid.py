"""Fréchet distance between two sets of features; with the Inception network's features it is the FID."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return how far apart two sets lie if each is taken for a sample of a Gaussian.

    The trace of the matrix square root is the sum of the singular values of a product of the centred features. That
    equals the usual eigenvalues of a 2048x2048 product of covariances, but with fewer images than features it is exact
    and takes milliseconds instead of seconds.

    Args:
        real: `(images, features)`, at least two images.
        fake: `(images, features)`; any other number of images.

    Returns:
        0 or more; biased upward by small numbers of images, so compare only equal numbers of them.

    Source: Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, arXiv:1706.08500, equation 6.
    """
    offset = real.mean(axis=0, dtype=np.float64) - fake.mean(axis=0, dtype=np.float64)
    root_real, root_fake = _covariance_root(real), _covariance_root(fake)
    overlap = np.linalg.svd(root_real @ root_fake.T, compute_uv=False).sum()
    distance = offset @ offset + (root_real**2).sum() + (root_fake**2).sum() - 2 * overlap
    # Rounding can leave equal sets a hair below zero.
    return max(float(distance), 0.0)


def resampled_frechet_distances(real: np.ndarray, fake: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the `frechet_distance` of resamples of the generated images, each repeated as often as it was drawn.

    All of a resample but the overlap of the covariances is a matrix product over all resamples. The overlap, the trace
    of a root, needs eigenvalues, of no larger a matrix than the resample has different images: of 500 drawn from 500
    that is about 316, 6 ms. The thousand of them run on all cores.

    Args:
        real: `(images, features)`, at least two images; not resampled.
        fake: `(images, features)`.
        counts: `(resamples, images)`, from `eval.confidence.resample_counts`.

    Returns:
        `(resamples,)` float64, biased upward against the distance of all images once, since repeated images lower the
        rank: of use for their spread, not for their mean.
    """
    root_real, wide = _covariance_root(real), fake.astype(np.float64)
    # Near zero, so that squares of means are not differences of large numbers.
    centred = wide - wide.mean(axis=0)
    offset = real.mean(axis=0, dtype=np.float64) - wide.mean(axis=0)
    drawn = counts.sum(axis=1)
    means = (counts @ centred) / drawn[:, None]
    spread = (counts @ (centred**2).sum(axis=1) - drawn * (means**2).sum(axis=1)) / (drawn - 1)
    overlaps = _overlaps(centred @ root_real.T, counts) / np.sqrt(drawn - 1)
    distances = ((offset - means) ** 2).sum(axis=1) + (root_real**2).sum() + spread - 2 * overlaps
    return distances.clip(min=0.0)


def _overlaps(projected: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum the singular values of each resample's centred rows.

    Args:
        projected: `(images, rank)`: generated images times the root of the real covariance.
        counts: `(resamples, images)`.
    """
    if len(projected) < projected.shape[1]:
        # Other rows with the same products among themselves, and no longer than there are images.
        projected = np.asarray(np.linalg.qr(projected.T, mode="r")).T
    means = (counts @ projected) / counts.sum(axis=1, keepdims=True)

    def overlap(resample: int) -> float:
        held = np.flatnonzero(counts[resample])
        rows = (projected[held] - means[resample]) * np.sqrt(counts[resample, held])[:, None]
        products = rows @ rows.T if len(held) < projected.shape[1] else rows.T @ rows
        return float(np.sqrt(np.linalg.eigvalsh(products).clip(min=0.0)).sum())

    # The resamples share the cores. Were each one's matrix split among them, too, OpenBLAS's threads would spin while
    # they wait for each other: beside other work, the eigenvalues of one took 4.6 s instead of 6 ms.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(overlap, range(len(counts)))))


def _covariance_root(features: np.ndarray) -> np.ndarray:
    """Return a matrix whose transpose times itself is the covariance; never more rows than features."""
    wide = features.astype(np.float64)
    centred = (wide - wide.mean(axis=0)) / np.sqrt(len(wide) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(wide) > wide.shape[1] else centred
