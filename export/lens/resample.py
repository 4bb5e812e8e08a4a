"""Resampling of 8-bit pictures in whole numbers: turned by a similarity, enlarged along the axes.

Both are bilinear, with pixel centres at halves. NumPy does what Pillow does in a third of the time: it turns several
pictures by one look-up, and what is enlarged comes row by row, while it is in the processor's cache.
"""

from collections.abc import Sequence

import numpy as np

from compress.faces.sample import STEP_BITS, between, sample

PIXEL = np.dtype([("colours", "V6"), ("share", "i2")])
"""Three colours and a share, int16 each: moved as one value of 8 bytes, in a quarter of the time that three take."""
ALL = 1 << STEP_BITS
"""The largest share."""
_BYTES = np.dtype([("colours", "V3"), ("share", "u1")])
_AT_ONCE = 3 << 15
"""Numbers that are made at once, which fit the processor's cache."""


def pack(colours: np.ndarray, share: np.ndarray | None = None) -> np.ndarray:
    """Return `(height, width)` of `PIXEL`.

    Args:
        colours: `(height, width, 3)` int16.
        share: `(height, width)` uint8, 255 for all; nothing if None.
    """
    pixels = np.zeros(colours.shape[:2], PIXEL)
    pixels["colours"] = np.ascontiguousarray(colours).view("V6")[..., 0]
    if share is not None:
        pixels["share"] = (share.astype(np.int16) + 1) >> 1
    return pixels


def colours_of(pixels: np.ndarray) -> np.ndarray:
    """Return the colours of `(height, width)` of `PIXEL`: `(height, width, 3)` int16."""
    return np.ascontiguousarray(pixels["colours"]).view(np.int16).reshape(*pixels.shape, 3)


def turn(
    pictures: Sequence[np.ndarray], mask: np.ndarray, matrix: np.ndarray, height: int, width: int
) -> list[np.ndarray]:
    """Sample one or two pictures and their mask at the places of another grid.

    Args:
        pictures: `(rows, columns, 3)` uint8 each; their border goes on outside.
        mask: `(rows, columns)` uint8.
        matrix: `(2, 3)` affine map from places in the result to the pictures', x first.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        The pictures, `(height, width)` of `PIXEL` each, 0 to 255; the mask is the share of each, up to `ALL`.
    """
    stacked = np.empty((*mask.shape, len(pictures)), _BYTES)
    stacked["share"] = mask[..., np.newaxis]
    for index, picture in enumerate(pictures):
        stacked["colours"][..., index] = np.ascontiguousarray(picture).view("V3")[..., 0]
    turned = sample(stacked.view(np.uint8).reshape(*mask.shape, -1), matrix, height, width).view(PIXEL)
    # In place: large arrays cost more to get than to fill.
    turned["share"] += 1
    turned["share"] >>= 1
    return [turned[..., index] for index in range(len(pictures))]


def rows_at_once(width: int) -> int:
    """Return how many rows of pixels it takes least time to make at once."""
    return max(8, _AT_ONCE // (3 * width))


class Enlarged:
    """A picture that is enlarged, or of the right size already, whose rows are made when they are asked for.

    Args:
        picture: `(height, width)` of `PIXEL`, -255 to 255.
        height: Rows of the enlarged picture, no fewer than the picture's.
        width: Its columns, no fewer than the picture's.
    """

    def __init__(self, picture: np.ndarray, height: int, width: int) -> None:
        self._picture, self._is_wide = picture, picture.shape[1] == width
        self._above, self._down = _grid(height, len(picture))
        self._left, right = _grid(width, picture.shape[1])
        self._right = np.repeat(right, 4)

    def widened(self, start: int, stop: int) -> np.ndarray:
        """Return what some rows are means of, enlarged to the picture's width: `(rows, width)` of `PIXEL`."""
        rows = np.ascontiguousarray(self._picture[self._above[start] : self._above[stop - 1] + 2])
        if self._is_wide:
            return rows
        one, other = (
            rows.view("i8").take(places, axis=1, mode="clip").view(np.int16) for places in (self._left, self._left + 1)
        )
        return between(one, other, self._right).view(PIXEL)

    def lengthened(self, widened: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the rows that `widened` was asked for, or some of their columns: `(rows, 3 * columns)` int16."""
        rows = colours_of(widened).reshape(len(widened), -1)
        above = self._above[start:stop] - self._above[start]
        # What is between two rows is one, in steps, and so many times the difference to the next.
        made = np.diff(rows, axis=0, append=rows[-1:]).take(above, axis=0)
        made *= self._down[start:stop, np.newaxis]
        rows = rows << STEP_BITS
        rows += 1 << (STEP_BITS - 1)
        made += rows.take(above, axis=0)
        made >>= STEP_BITS
        return made

    def shares(self, widened: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the shares of the same rows and columns, each thrice: `(rows, 3 * columns)` int16."""
        rows = np.repeat(widened["share"], 3, axis=1)
        above = self._above[start:stop] - self._above[start]
        other = rows.take(above + 1, axis=0, mode="clip")
        return between(rows.take(above, axis=0), other, self._down[start:stop, np.newaxis])


def _grid(length: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each place of an axis that is enlarged, the source's place before it and the weight of the next."""
    places = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(source / length)
    fixed = np.rint((np.clip(places - np.float32(0.5), 0, source - 1)) * (1 << STEP_BITS)).astype(np.int32)
    before = np.minimum(fixed >> STEP_BITS, max(source - 2, 0))
    return before, (fixed - (before << STEP_BITS)).astype(np.int16)
