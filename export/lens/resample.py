"""Resampling of 8-bit pictures in whole numbers: turned by a similarity, enlarged along the axes.

Both are bilinear, with pixel centres at halves. NumPy does what Pillow does in a third of the time: it turns several
pictures by one look-up, and what is enlarged comes row by row, while it is in the processor's cache.
"""

from collections.abc import Sequence

import numpy as np

from compress.faces.sample import STEP_BITS, between, sample

_AT_ONCE = 1 << 15
"""Numbers that are made at once, which fit the processor's cache."""
_PIXEL = np.dtype([("colours", "V3"), ("share", "u1")])
_TURNED = np.dtype([("colours", "V6"), ("share", "i2")])


def turn(
    pictures: Sequence[np.ndarray], mask: np.ndarray, matrix: np.ndarray, height: int, width: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Sample one or two pictures and their mask at the places of another grid.

    Args:
        pictures: `(rows, columns, 3)` uint8 each; their border goes on outside.
        mask: `(rows, columns)` uint8.
        matrix: `(2, 3)` affine map from places in the result to the pictures', x first.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        The pictures, `(height, width, 3)` int16 each, and the mask, `(height, width)` int16; 0 to 255.
    """
    # Pixels are moved as one value each: by the channel, it would take three times as long.
    stacked = np.empty((*mask.shape, len(pictures)), _PIXEL)
    stacked["share"] = mask[..., np.newaxis]
    for index, picture in enumerate(pictures):
        stacked["colours"][..., index] = np.ascontiguousarray(picture).view("V3")[..., 0]
    sampled = sample(stacked.view(np.uint8).reshape(*mask.shape, -1), matrix, height, width).view(_TURNED)
    turned = [np.ascontiguousarray(sampled["colours"][..., index]) for index in range(len(pictures))]
    return [each.view(np.int16).reshape(height, width, 3) for each in turned], sampled["share"][..., 0].copy()


def rows_at_once(width: int) -> int:
    """Return how many rows of pixels it takes least time to make at once."""
    return max(8, _AT_ONCE // (3 * width))


class Enlarged:
    """A picture that is enlarged, or of the right size already, whose rows are made when they are asked for.

    Args:
        picture: `(height, width, channels)` int16, -255 to 255.
        height: Rows of the enlarged picture, no fewer than the picture's.
        width: Its columns, no fewer than the picture's.
    """

    def __init__(self, picture: np.ndarray, height: int, width: int) -> None:
        self._channels = picture.shape[2]
        rows = np.ascontiguousarray(picture) if picture.shape[1] == width else _widen(picture, width)
        self._rows = rows.reshape(len(rows), -1)
        self._above, self._weights = _grid(height, len(rows))
        # What is between two rows is one, in steps, and so many times the difference to the next.
        self._ones = (self._rows << STEP_BITS) + (1 << (STEP_BITS - 1))
        self._steps = np.diff(self._rows, axis=0, append=self._rows[-1:])

    def rows(self, start: int, stop: int, first: int, last: int) -> np.ndarray:
        """Return `(stop - start, channels * (last - first))` int16: some of its rows, between two columns."""
        part = np.s_[self._channels * first : self._channels * last]
        span = self._span(start, stop)
        above = self._above[start:stop] - span.start
        rows, steps = (each[span, part].take(above, axis=0) for each in (self._ones, self._steps))
        steps *= self._weights[start:stop, np.newaxis]
        rows += steps
        rows >>= STEP_BITS
        return rows

    def sources(self, start: int, stop: int) -> np.ndarray:
        """Return what some of its rows are means of: `(rows, channels * width)` int16."""
        return self._rows[self._span(start, stop)]

    def _span(self, start: int, stop: int) -> slice:
        return slice(int(self._above[start]), int(self._above[stop - 1]) + 2)


def _widen(picture: np.ndarray, width: int) -> np.ndarray:
    """Enlarge the rows of a picture, `(height, columns, channels)` int16, to a width."""
    height, columns, channels = picture.shape
    left, weights = _grid(width, columns)
    pixels = np.ascontiguousarray(picture).view("i2" if channels == 1 else f"V{2 * channels}")[..., 0]
    widened = np.empty((height, width * channels), np.int16)
    weights = np.repeat(weights, channels)
    rows = rows_at_once(width)
    for start in range(0, height, rows):
        block = pixels[start : start + rows]
        one, other = (
            block.take(places, axis=1, mode="clip").view(np.int16).reshape(len(block), -1)
            for places in (left, left + 1)
        )
        widened[start : start + rows] = between(one, other, weights)
    return widened


def _grid(length: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each place of an axis that is enlarged, the source's place before it and the weight of the next."""
    places = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(source / length)
    fixed = np.rint((np.clip(places - np.float32(0.5), 0, source - 1)) * (1 << STEP_BITS)).astype(np.int32)
    before = np.minimum(fixed >> STEP_BITS, max(source - 2, 0))
    return before, (fixed - (before << STEP_BITS)).astype(np.int16)
