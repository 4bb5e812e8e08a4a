"""Multi-scale structural similarity: SSIM's contrast and structure at five sizes, weighted as people see them."""

import numpy as np

from compress.errors import UnusableData
from eval.similarity.ssim import WINDOW_PX, WindowSimilarity, compare_windows, to_planes

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights from the full size to a sixteenth of it, derived from viewers' judgements of equal quality."""
SMALLEST_PX = (WINDOW_PX - 1) * 2 ** (len(WEIGHTS) - 1) + 1
"""Smallest side that, halved four times and rounded up, is still as long as the window: 161 px."""


def fits_five_scales(image: np.ndarray) -> bool:
    """Return whether an image, `(height, width, channels)`, is large enough for all scales."""
    return min(image.shape[:2]) >= SMALLEST_PX


def ms_ssim(first: np.ndarray, second: np.ndarray, *, full_size: WindowSimilarity | None = None) -> float:
    """Return the multi-scale structural similarity, mean over the colour channels.

    There is no such measure with fewer scales: other weights would make it another quantity under the same name.

    Args:
        first: `(height, width, channels)` uint8, each side at least 161 px.
        second: The same shape.
        full_size: Result of `compare_windows` of both, where it is known already.

    Returns:
        0 to 1, where 1 is equal; 0 also where a scale's contrast and structure are opposed, as the root of a negative
        number would be none.

    Raises:
        UnusableData: If the image is too small for five scales.

    Source: Wang, Simoncelli and Bovik 2003, Multi-scale Structural Similarity for Image Quality Assessment, Asilomar.
    """
    if not fits_five_scales(first):
        raise UnusableData(
            f"an image of {first.shape[1]}x{first.shape[0]} px is too small for MS-SSIM, whose five scales need "
            f"{SMALLEST_PX} px a side."
        )
    ours, theirs = to_planes(first), to_planes(second)
    windows = full_size or compare_windows(ours, theirs)
    # Brightness counts at the last scale alone.
    product = np.ones(len(ours))
    for weight in WEIGHTS[:-1]:
        product *= _power(windows.contrast_structure, weight)
        ours, theirs = _halve(ours), _halve(theirs)
        windows = compare_windows(ours, theirs)
    product *= _power(windows.luminance * windows.contrast_structure, WEIGHTS[-1])
    return float(product.mean())


def _power(values: np.ndarray, weight: float) -> np.ndarray:
    """Return each channel's mean of `(channels, rows, columns)`, to the power of the scale's weight."""
    return np.maximum(values.mean(axis=(1, 2)), 0.0) ** weight


def _halve(values: np.ndarray) -> np.ndarray:
    """Average each 2x2 pixels; an odd side's last pixel is taken twice."""
    _, height, width = values.shape
    even = np.pad(values, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    rows = (even[:, ::2] + even[:, 1::2]) / 2
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 2
