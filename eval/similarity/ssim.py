"""Structural similarity: brightness, contrast and structure compared window by window."""

from typing import NamedTuple

import numpy as np

from compress.errors import UnusableData

PEAK = 255.0
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
# The paper's constants, which keep both fractions finite.
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_MIDDLE = WINDOW_PX // 2


class WindowSimilarity(NamedTuple):
    """Similarity of two images in each window that lies wholly inside: `(channels, rows, columns)` float64."""

    luminance: np.ndarray
    """0 to 1, where 1 is equally bright."""
    contrast_structure: np.ndarray
    """-1 to 1, where 1 is varying as much, and together."""


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Return the structural similarity: the mean over windows that lie wholly inside, and over the colour channels.

    Args:
        first: `(height, width, channels)` uint8, each side at least 11 px.
        second: The same shape.

    Returns:
        -1 to 1, where 1 is equal.

    Raises:
        UnusableData: If the image is smaller than the window.

    Source: Wang et al. 2004, Image Quality Assessment, IEEE TIP 13(4), with its 11x11 Gaussian of 1.5 px.
    """
    return mean_ssim(compare_windows(to_planes(first), to_planes(second)))


def mean_ssim(windows: WindowSimilarity) -> float:
    """Return the SSIM of two images whose windows were compared already."""
    return float((windows.luminance * windows.contrast_structure).mean())


def to_planes(image: np.ndarray) -> np.ndarray:
    """Turn `(height, width, channels)` into contiguous `(channels, height, width)` float64."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float64)


def compare_windows(first: np.ndarray, second: np.ndarray) -> WindowSimilarity:
    """Compare each window of two images, which come from `to_planes`.

    Raises:
        UnusableData: If the image is smaller than the window.
    """
    _, height, width = first.shape
    if min(height, width) < WINDOW_PX:
        raise UnusableData(
            f"an image of {width}x{height} px is too small for SSIM; expected at least {WINDOW_PX} px a side."
        )
    mean_first, mean_second, product = _blur(first), _blur(second), _blur(first * second)
    mean_product, squared_means = mean_first * mean_second, mean_first**2 + mean_second**2
    # Only the sum of both variances is needed, so their squares are blurred together.
    variances = _blur(first**2 + second**2) - squared_means
    return WindowSimilarity(
        luminance=(2 * mean_product + _C1) / (squared_means + _C1),
        contrast_structure=(2 * (product - mean_product) + _C2) / (variances + _C2),
    )


def _blur(values: np.ndarray) -> np.ndarray:
    """Return the weighted mean over the window around each pixel; the border, where it sticks out, is cut off."""
    return _blur_along(_blur_along(values, axis=1), axis=2)


def _blur_along(values: np.ndarray, *, axis: int) -> np.ndarray:
    weights = np.exp(-((np.arange(WINDOW_PX) - _MIDDLE) ** 2) / (2 * WINDOW_SIGMA_PX**2))
    weights /= weights.sum()
    length = values.shape[axis] - WINDOW_PX + 1
    shifted = [values[(slice(None),) * axis + (slice(shift, shift + length),)] for shift in range(WINDOW_PX)]
    blurred = weights[_MIDDLE] * shifted[_MIDDLE]
    both_sides = np.empty_like(blurred)
    # The window is symmetric, so pixels equally far from its middle are added before they are weighted.
    for shift in range(_MIDDLE):
        np.add(shifted[shift], shifted[-1 - shift], out=both_sides)
        both_sides *= weights[shift]
        blurred += both_sides
    return blurred
