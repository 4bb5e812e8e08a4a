"""Detail beyond the model's size: how much of the photo's own a translation keeps, place by place, colour by colour.

In windows of a few pixels, the translation is fitted by a gain times the photo and an offset. Where that fits, as where
the model tones a face or leaves it alone, the photo's detail is added times the gain; where it does not, as where the
model moves an edge or draws hair, none is. What the model makes stays what it is at the model's size.

Windows and gains are those of the guided filter (He et al. 2013, Guided Image Filtering, IEEE TPAMI 35), which would
also put the fit itself in the translation's place, and so smear whatever the model moved.
"""

import numpy as np

from compress.faces.warp import load_opencv

UNIT_BITS = 6
"""A gain of 1 is 64 in what `local_gain` returns; 255 times the largest of them fits 16 bits."""
RADIUS_PX = 2
SMOOTHING_PX = 1
FLAT = 1e-3 * 255**2
"""Variance up to which a window counts as flat: its gain is drawn to 1, so that a flat cheek keeps its grain."""
MISFIT = (0.1 * 255) ** 2
"""Mean squared error of a fit that leaves a share of 1/e of the detail."""
LARGEST = 2.0


def local_gain(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much the photo's detail has to be multiplied to go with the translation.

    Args:
        before: `(height, width, 3)` uint8: what the model saw.
        after: The same of what it made of that.

    Returns:
        `(height, width, 3)` int16, in 64ths, -2 to 2: 1 where the model changes nothing.
    """
    around = RADIUS_PX + SMOOTHING_PX
    one, other = (
        np.pad(picture, [(around, around)] * 2 + [(0, 0)], mode="edge").astype(np.float32)
        for picture in (before, after)
    )
    means = _window_means(one), _window_means(other)
    variance, shared = _covariance(one, one, means[0], means[0]), _covariance(one, other, *means)
    gain = (shared + np.float32(FLAT)) / (variance + np.float32(FLAT))
    misfit = _covariance(other, other, means[1], means[1]) - gain * (2 * shared - gain * variance)
    kept = np.clip(gain, -LARGEST, LARGEST) * np.exp(np.maximum(misfit, 0) * np.float32(-1 / MISFIT))
    gains = _window_means(kept, SMOOTHING_PX)[around:-around, around:-around]
    return np.rint(gains * np.float32(1 << UNIT_BITS)).astype(np.int16)


def _covariance(left: np.ndarray, right: np.ndarray, left_means: np.ndarray, right_means: np.ndarray) -> np.ndarray:
    """Return the covariance in each window of two pictures, of whose windows the means are given.

    Equal pictures have equal ones, to the bit.
    """
    return _window_means(left * right) - left_means * right_means


def _window_means(values: np.ndarray, radius: int = RADIUS_PX) -> np.ndarray:
    """Return the mean around each place of `(height, width, 3)` float32; along the border it means nothing."""
    return load_opencv().blur(values, (2 * radius + 1, 2 * radius + 1))
