"""Detail beyond the model's size: how much of the photo's own a translation keeps, place by place, colour by colour.

In windows of a few pixels, the translation is fitted by a gain times the photo and an offset. Where that fits, as where
the model tones a face or leaves it alone, the photo's detail is added times the gain; where it does not, as where the
model moves an edge or draws hair, none is. What the model makes stays what it is at the model's size.

Windows and gains are those of the guided filter (He et al. 2013, Guided Image Filtering, IEEE TPAMI 35), which would
also put the fit itself in the translation's place, and so smear whatever the model moved.
"""

import numpy as np

UNIT_BITS = 6
"""A gain of 1 is 64 in what `local_gain` returns; 255 times the largest of them fits 16 bits."""
_RADIUS_PX = 2
_SMOOTHING_PX = 1
_FLAT = 1e-3 * 255**2
"""Variance up to which a window counts as flat: its gain is drawn to 1, so that a flat cheek keeps its grain."""
_MISFIT = (0.1 * 255) ** 2
"""Mean squared error of a fit that leaves a share of 1/e of the detail."""
_LARGEST = 2.0
_ROWS = 32
"""Rows that are made at once, which fit the processor's cache."""


def local_gain(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much the photo's detail has to be multiplied to go with the translation.

    Args:
        before: `(height, width, 3)` int16, 0 to 255: what the model saw.
        after: The same of what it made of that.

    Returns:
        `(height, width, 3)` int16, in 64ths, -2 to 2: 1 where the model changes nothing.
    """
    around = _RADIUS_PX + _SMOOTHING_PX
    padded = [
        np.pad(picture.astype(np.int32), [(around, around)] * 2 + [(0, 0)], mode="edge") for picture in (before, after)
    ]
    one, other = (picture.reshape(len(picture), -1) for picture in padded)
    gains = np.empty(before.shape, np.int16)
    for start in range(0, len(gains), _ROWS):
        block = gains[start : start + _ROWS]
        rows = slice(start, start + len(block) + 2 * around)
        block[...] = _block_gain(one[rows], other[rows]).reshape(block.shape)
    return gains


def _block_gain(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the gains of some rows, of `(rows, 3 * width)` int32 with as much around them as windows reach."""
    sums = _window_sums(one, _RADIUS_PX), _window_sums(other, _RADIUS_PX)
    variance, shared = _covariance(one, one, sums[0], sums[0]), _covariance(one, other, *sums)
    gain = (shared + np.float32(_FLAT)) / (variance + np.float32(_FLAT))
    misfit = _covariance(other, other, sums[1], sums[1]) - gain * (2 * shared - gain * variance)
    sure = np.exp(np.maximum(misfit, 0) * np.float32(-1 / _MISFIT))
    kept = np.clip(gain, -_LARGEST, _LARGEST) * sure
    return np.rint(_window_sums(kept, _SMOOTHING_PX) * np.float32((1 << UNIT_BITS) / _pixels(_SMOOTHING_PX)))


def _covariance(left: np.ndarray, right: np.ndarray, left_sums: np.ndarray, right_sums: np.ndarray) -> np.ndarray:
    """Return the covariance in each window of two pictures, of whose windows the sums are given.

    It is exact until it is divided: equal pictures have equal ones.
    """
    count = _pixels(_RADIUS_PX)
    numerator = count * _window_sums(left * right, _RADIUS_PX) - left_sums * right_sums
    return numerator.astype(np.float32) * np.float32(1 / count**2)


def _pixels(radius: int) -> int:
    return (2 * radius + 1) ** 2


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum `(rows, 3 * width)` over the windows that lie inside: fewer rows and columns by twice the radius."""
    height, width = len(values) - 2 * radius, values.shape[1] - 6 * radius
    columns = values[:height].copy()
    for start in range(1, 2 * radius + 1):
        columns += values[start : start + height]
    sums = columns[:, :width].copy()
    for start in range(1, 2 * radius + 1):
        sums += columns[:, 3 * start : 3 * start + width]
    return sums
