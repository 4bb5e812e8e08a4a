"""Resampling of 8-bit pictures by OpenCV, on one thread; places are counted from a picture's corner.

OpenCV counts them from the centre of the first pixel. It takes a tenth of the time that Pillow takes to turn a square.
"""

from functools import cache
from typing import Any

import numpy as np


@cache
def load_opencv() -> Any:
    """Return the module `cv2`, loaded once, set to the caller's thread: squares are too small to share."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


def warp(picture: np.ndarray, matrix: np.ndarray, height: int, width: int, *, cubic: bool = False) -> np.ndarray:
    """Sample a picture at the places of another grid.

    Args:
        picture: `(rows, columns, channels)` uint8; its border goes on outside. Quickest with 4 channels.
        matrix: `(2, 3)` affine map from places in the result to the picture's, x first.
        height: Rows of the result.
        width: Columns of the result.
        cubic: Whether a cubic filter samples, instead of a bilinear one.

    Returns:
        `(height, width, channels)` uint8.
    """
    cv2 = load_opencv()
    centred = matrix.copy()
    centred[:, 2] += matrix[:, :2].sum(axis=1) / 2 - 0.5
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR)
    return cv2.warpAffine(picture, centred, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize `(rows, columns, channels)` uint8 along the axes: bilinear, or by means where it becomes smaller."""
    cv2 = load_opencv()
    smaller = height * width < picture.shape[0] * picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """Average groups of `factor` by `factor` pixels; what no whole group is left of is left out, a last one is kept."""
    height, width = picture.shape[:2]
    rows, columns = max(1, height // factor), max(1, width // factor)
    return resize(picture[: rows * factor, : columns * factor], rows, columns)


def window_means(picture: np.ndarray, side: int) -> np.ndarray:
    """Return the mean of the `side` by `side` pixels that begin at each pixel: `(rows, columns, channels)` uint8.

    Beside the picture, its border goes on.
    """
    cv2 = load_opencv()
    return cv2.blur(picture, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
