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


def local_gain(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much the photo's detail has to be multiplied to go with the translation.

    Args:
        before: `(height, width, 3)` int16, 0 to 255: what the model saw.
        after: The same of what it made of that.

    Returns:
        `(height, width, 3)` int16, in 64ths, -2 to 2: 1 where the model changes nothing.
    """
    pictures = before.astype(np.int32), after.astype(np.int32)
    one, other = ((picture, _window_sums(picture, _RADIUS_PX)) for picture in pictures)
    variance, shared = _covariance(one, one), _covariance(one, other)
    gain = (shared + np.float32(_FLAT)) / (variance + np.float32(_FLAT))
    misfit = _covariance(other, other) - gain * (2 * shared - gain * variance)
    sure = np.exp(np.maximum(misfit, 0) * np.float32(-1 / _MISFIT))
    kept = np.clip(gain, -_LARGEST, _LARGEST) * sure
    smooth = _window_sums(kept, _SMOOTHING_PX) * np.float32((1 << UNIT_BITS) / _pixels(_SMOOTHING_PX))
    return np.rint(smooth).astype(np.int16)


def _covariance(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the covariance in each window of two pictures, each with its windows' sums: exact until it is divided."""
    count = _pixels(_RADIUS_PX)
    (left, left_sums), (right, right_sums) = one, other
    numerator = count * _window_sums(left * right, _RADIUS_PX) - left_sums * right_sums
    return numerator.astype(np.float32) * np.float32(1 / count**2)


def _pixels(radius: int) -> int:
    return (2 * radius + 1) ** 2


def _window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum `(height, width, 3)` over windows around each pixel; the edge goes on outside."""
    for axis in (0, 1):
        length = values.shape[axis]
        padding = [(radius, radius) if each == axis else (0, 0) for each in range(values.ndim)]
        padded = np.pad(values, padding, mode="edge")
        parts = (slice(start, start + length) for start in range(2 * radius + 1))
        first, *others = (padded[part] if axis == 0 else padded[:, part] for part in parts)
        values = first.copy()
        for part in others:
            values += part
    return values
