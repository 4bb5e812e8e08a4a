"""Cutting a placed square out of a photo: turned, resized without aliasing, the photo's edge repeated outside."""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from compress.faces.template import Placement

_SPARE_PX = 3
"""Pixels around the square that the filter may look at."""


def cut(photo: np.ndarray, placement: Placement, size_px: int) -> np.ndarray:
    """Cut a square out of a photo.

    Whole pixels are averaged until the square is as near to its size as that brings it, and then it is sampled by a
    cubic filter, at a step of 1 pixel or nearly so: each pixel of the result stands for what it covers in the photo.

    Args:
        photo: `(height, width, 3)` uint8.
        placement: The square; it may reach out of the photo, or lie outside.
        size_px: Side of the result, pixels.

    Returns:
        `(size_px, size_px, 3)` uint8.
    """
    left, top, right, bottom = bounds(placement, spare_px=_SPARE_PX)
    image = Image.fromarray(_take(photo, left, top, right, bottom))
    matrix = placement.matrix(size_px) - np.array([[0, 0, left], [0, 0, top]])
    if (shrink := round(placement.side_px / size_px)) > 1:
        # The last pixels of a row that no whole group is left of are averaged by themselves, which nothing samples.
        image, matrix = image.reduce(shrink), matrix / shrink
    square = image.transform(
        (size_px, size_px), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC
    )
    return np.asarray(square)


def cut_coarsely(photo: np.ndarray, placement: Placement, size_px: int) -> np.ndarray:
    """Cut a square as `cut` does, of a photo of which rows and columns are left out: quickly, with some aliasing."""
    step = max(1, int(placement.side_px / (2 * size_px)))
    # Of a group of pixels the first is kept, whose centre lies half a pixel from the group's corner.
    x, y = ((value - 0.5) / step + 0.5 for value in (placement.x, placement.y))
    thinned = replace(placement, x=x, y=y, side_px=placement.side_px / step)
    return cut(photo[::step, ::step], thinned, size_px)


def bounds(placement: Placement, *, spare_px: int = 0) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of the pixels that a square touches; they may lie outside the photo."""
    corners = placement.corners()
    left, top = (math.floor(value) - spare_px for value in corners.min(axis=0).tolist())
    right, bottom = (math.ceil(value) + spare_px for value in corners.max(axis=0).tolist())
    return left, top, right, bottom


def _take(photo: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """Return a part of a photo, its edge repeated where the part reaches out of it."""
    rows, columns = (_span(*ends) for ends in ((top, bottom, photo.shape[0]), (left, right, photo.shape[1])))
    inside = photo[rows[0] : rows[1], columns[0] : columns[1]]
    if inside.shape[:2] == (bottom - top, right - left):
        return np.ascontiguousarray(inside)
    return np.pad(inside, (rows[2:], columns[2:], (0, 0)), mode="edge")


def _span(start: int, stop: int, length: int) -> tuple[int, int, int, int]:
    """Return the part of an axis that lies in a photo, at least a pixel, and what is missing before and behind it."""
    first = min(max(start, 0), length - 1)
    last = max(min(stop, length), first + 1)
    before = min(max(0, first - start), stop - start - (last - first))
    return first, last, before, stop - start - (last - first) - before
