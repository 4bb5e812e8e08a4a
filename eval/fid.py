"""Fréchet distance between two sets of features; with the Inception network's features it is the FID."""

import numpy as np


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Measure how far apart two sets lie if each is taken for a sample of a Gaussian.

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


def _covariance_root(features: np.ndarray) -> np.ndarray:
    """A matrix whose transpose times itself is the covariance; never more rows than features."""
    wide = features.astype(np.float64)
    centred = (wide - wide.mean(axis=0)) / np.sqrt(len(wide) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(wide) > wide.shape[1] else centred
