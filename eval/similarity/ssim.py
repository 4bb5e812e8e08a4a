"""Structural similarity: brightness, contrast and structure compared window by window."""

from typing import NamedTuple

import numpy as np

from compress.errors import UnusableData
from eval.similarity.psnr import PEAK

WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
_STEADY_MEAN, _STEADY_VARIANCE = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
_MIDDLE = WINDOW_PX // 2


class Similarity(NamedTuple):
    """One image against another, for each window that lies wholly inside: `(channels, rows, columns)` float64."""

    luminance: np.ndarray
    """0 to 1: whether both are equally bright."""
    contrast_structure: np.ndarray
    """-1 to 1: whether both vary as much, and together."""


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity: mean over windows that lie wholly inside the image, and over the colour channels.

    Args:
        first: `(height, width, channels)` uint8, each side at least 11 px.
        second: The same shape.

    Returns:
        -1 to 1, where 1 is equal.

    Raises:
        UnusableData: If the image is smaller than the window.

    Source: Wang et al. 2004, Image Quality Assessment, IEEE TIP 13(4), with its 11x11 Gaussian of 1.5 px.
    """
    return mean_similarity(similarity(planes(first), planes(second)))


def mean_similarity(maps: Similarity) -> float:
    """The SSIM of an image whose windows were compared already."""
    return float((maps.luminance * maps.contrast_structure).mean())


def planes(image: np.ndarray) -> np.ndarray:
    """`(height, width, channels)` to `(channels, height, width)` float64, so that a row of pixels lies in one piece."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float64)


def similarity(first: np.ndarray, second: np.ndarray) -> Similarity:
    """Compare each window of two images, which come as `planes` gives them.

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
    return Similarity(
        luminance=(2 * mean_product + _STEADY_MEAN) / (squared_means + _STEADY_MEAN),
        contrast_structure=(2 * (product - mean_product) + _STEADY_VARIANCE) / (variances + _STEADY_VARIANCE),
    )


def _blur(values: np.ndarray) -> np.ndarray:
    """Weighted mean over the window around each pixel; the border, where the window sticks out, is cut off."""
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
