"""Cutting a placed square out of a photo: turned, resized without aliasing, the photo's edge repeated outside."""

import math
from dataclasses import replace

import numpy as np

from compress.faces.template import Placement
from compress.faces.warp import shrink, warp, window_means

_ENLARGED = 0.75
"""Pixels of the photo for each of the square's below which a cubic filter is worth its time."""
_AVERAGED = 4
"""The same from which whole groups of pixels are averaged first."""
_SPARE_PX = 3
"""Pixels around the square that the filters may look at."""


def cut(photo: np.ndarray, placement: Placement, size_px: int) -> np.ndarray:
    """Cut a square out of a photo.

    Each pixel of the result stands for what it covers in the photo: the mean of as many pixels as that, sampled between
    them. Where it covers less than one, a cubic filter enlarges.

    Args:
        photo: `(height, width, 3)` uint8.
        placement: The square; it may reach out of the photo, or lie outside.
        size_px: Side of the result, pixels.

    Returns:
        `(size_px, size_px, 3)` uint8.
    """
    matrix, step = placement.matrix(size_px), placement.side_px / size_px
    part, left, top = _part(photo, bounds(placement, spare_px=_SPARE_PX + round(step)))
    matrix = matrix - np.array([[0, 0, left], [0, 0, top]])
    if step >= _AVERAGED:
        factor = int(step / 2)
        part, matrix, step = shrink(part, factor), matrix / factor, step / factor
    if (reach := round(step)) > 1:
        part = window_means(part, reach)
        # The mean of a group lies in its middle.
        matrix[:, 2] -= (reach - 1) / 2
    return warp(part, matrix, size_px, size_px, cubic=step < _ENLARGED)


def cut_coarsely(photo: np.ndarray, placement: Placement, size_px: int) -> np.ndarray:
    """Cut a square as `cut` does, of a photo of which rows and columns are left out: quickly, with some aliasing."""
    step = max(1, int(placement.side_px / (1.5 * size_px)))
    if step == 1:
        return cut(photo, placement, size_px)
    left, top, right, bottom = bounds(placement, spare_px=_SPARE_PX * step)
    # From frame to frame the same pixels are left out, wherever the square lies.
    part, left, top = _part(photo, (left // step * step, top // step * step, right, bottom))
    part = thin(part, step)
    # Of a group of pixels the first is kept, whose centre lies half a pixel from the group's corner.
    x, y = ((value - 0.5) / step + 0.5 for value in (placement.x - left, placement.y - top))
    return cut(part, replace(placement, x=x, y=y, side_px=placement.side_px / step), size_px)


def thin(photo: np.ndarray, step: int) -> np.ndarray:
    """Copy every `step`th pixel of every `step`th row of `(height, width, 3)` uint8, contiguous along the rows."""
    # As one value of three bytes, NumPy copies a pixel in a third of the time.
    return photo.view("V3")[::step, ::step].copy().view(np.uint8)


def bounds(placement: Placement, *, spare_px: int = 0) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of the pixels that a square touches; they may lie outside the photo."""
    corners = placement.corners()
    left, top = (math.floor(value) - spare_px for value in corners.min(axis=0).tolist())
    right, bottom = (math.ceil(value) + spare_px for value in corners.max(axis=0).tolist())
    return left, top, right, bottom


def _part(photo: np.ndarray, box: tuple[int, int, int, int]) -> tuple[np.ndarray, int, int]:
    """Return what of a photo lies in a box, at least a pixel of its edge, and where that begins: left and top."""
    left, top, right, bottom = box
    left, top = min(max(left, 0), photo.shape[1] - 1), min(max(top, 0), len(photo) - 1)
    return photo[top : max(bottom, top + 1), left : max(right, left + 1)], left, top
