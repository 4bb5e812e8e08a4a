"""Cutting a placed square out of a photo: turned, resized without aliasing, the photo's edge repeated outside."""

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from compress.faces.sample import sample, take_part
from compress.faces.template import Placement

_ENLARGED = 0.75
"""Pixels of the photo for each of the square's below which a cubic filter is worth three times the time."""
_AVERAGED = 4
"""The same from which whole groups of pixels are averaged first."""
_ROWS = 16
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
    if _ENLARGED <= step < 1.5:
        return sample(photo, matrix, size_px, size_px).astype(np.uint8)
    left, top, right, bottom = bounds(placement, spare_px=_SPARE_PX + round(step))
    part = take_part(photo, left, top, right, bottom)
    matrix = matrix - np.array([[0, 0, left], [0, 0, top]])
    if step < _ENLARGED:
        square = Image.fromarray(part).transform(
            (size_px, size_px), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BICUBIC
        )
        return np.asarray(square)
    if step >= _AVERAGED:
        # The last pixels of a row that no whole group is left of are averaged by themselves, which nothing samples.
        shrink = int(step / 2)
        part, matrix, step = np.asarray(Image.fromarray(part).reduce(shrink)), matrix / shrink, step / shrink
    reach = round(step)
    # The mean of a group lies in its middle.
    matrix[:, 2] -= (reach - 1) / 2
    return sample(_means(part, reach), matrix, size_px, size_px).astype(np.uint8)


def cut_coarsely(photo: np.ndarray, placement: Placement, size_px: int) -> np.ndarray:
    """Cut a square as `cut` does, of a photo of which rows and columns are left out: quickly, with some aliasing."""
    step = max(1, int(placement.side_px / (1.5 * size_px)))
    if step == 1:
        return cut(photo, placement, size_px)
    left, top, right, bottom = bounds(placement, spare_px=_SPARE_PX * step)
    # From frame to frame the same pixels are left out, wherever the square lies.
    left, top = (min(max(end, 0), side - 1) // step * step for end, side in ((left, photo.shape[1]), (top, len(photo))))
    part = thin(photo[top : max(bottom, top + 1), left : max(right, left + 1)], step)
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


def _means(photo: np.ndarray, reach: int) -> np.ndarray:
    """Return the mean of each group of `reach` by `reach` neighbours, which overlap, uint8: fewer by `reach` - 1."""
    height, width = photo.shape[0] - reach + 1, photo.shape[1] - reach + 1
    means = np.empty((height, width, 3), np.uint8)
    for start in range(0, height, _ROWS):
        block = means[start : start + _ROWS]
        rows = photo[start : start + len(block) + reach - 1].astype(np.uint16).reshape(-1, 3 * photo.shape[1])
        columns = rows[: len(block)].copy()
        for later in range(1, reach):
            columns += rows[later : later + len(block)]
        sums = columns[:, : 3 * width].copy()
        for later in range(1, reach):
            sums += columns[:, 3 * later : 3 * (later + width)]
        sums += reach**2 // 2
        sums //= reach**2
        block[...] = sums.reshape(block.shape)
    return means
