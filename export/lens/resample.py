"""Resampling of 8-bit pictures in whole numbers: turned by a similarity, enlarged along the axes.

Both are bilinear, with pixel centres at halves. NumPy does what Pillow does in a third of the time: it turns several
layers by one look-up, and what is enlarged comes row by row, while it is in the processor's cache.
"""

import numpy as np

BLOCK = 32
"""Rows that are made at once, which fit the processor's cache."""
_STEPS = 128
"""Steps of a weight: the difference of two bytes times it fits 16 bits."""
_PACKED = {4: np.uint32, 8: np.uint64}


def turn(layers: np.ndarray, matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """Sample a stack of layers at the places of another grid.

    Args:
        layers: `(height, width, 4 or 8)` uint8; their border goes on outside.
        matrix: `(2, 3)` affine map from places in the result to the layers', x first.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        `(height, width, 4 or 8)` int16, 0 to 255.
    """
    packed = np.ascontiguousarray(layers).view(_PACKED[layers.shape[2]])[..., 0]
    turned = np.empty((height, width, layers.shape[2]), np.int16)
    for start in range(0, height, BLOCK):
        _turn_block(packed, matrix.astype(np.float32), turned[start : start + BLOCK], start)
    return turned


def _turn_block(packed: np.ndarray, matrix: np.ndarray, turned: np.ndarray, start: int) -> None:
    """Fill some rows of what `turn` returns: large arrays cost more to get than to fill."""
    (rows, columns), (height, width, depth) = packed.shape, turned.shape
    x = np.arange(width, dtype=np.float32) + np.float32(0.5)
    y = np.arange(start, start + height, dtype=np.float32)[:, np.newaxis] + np.float32(0.5)
    (across_x, across_y, across), (down_x, down_y, down) = matrix
    u, right = _steps(across_x * x + (across_y * y + across), columns)
    v, below = _steps(down_x * x + (down_y * y + down), rows)
    place, flat = v * columns + u, packed.ravel()

    def look_up(there: np.ndarray) -> np.ndarray:
        return flat.take(there, mode="clip").view(np.uint8).reshape(height, width * depth).astype(np.int16)

    right, below = (np.repeat(weights, depth, axis=1) for weights in (right, below))
    upper = _between(look_up(place), look_up(place + 1), right)
    lower = _between(look_up(place + columns), look_up(place + columns + 1), right)
    turned[...] = _between(upper, lower, below).reshape(turned.shape)


class Enlarged:
    """A picture that is enlarged, or of the right size already, whose rows are made when they are asked for.

    Args:
        picture: `(height, width, 3)` int16, -255 to 255.
        height: Rows of the enlarged picture, no fewer than the picture's.
        width: Its columns, no fewer than the picture's.
    """

    def __init__(self, picture: np.ndarray, height: int, width: int) -> None:
        flat = picture.reshape(picture.shape[0], -1)
        if picture.shape[1] != width:
            flat = _widen(flat, width)
        self._rows = flat
        self._above, self._weights = (None, None) if len(flat) == height else _grid(height, len(flat))
        self._scratch = np.empty((2, BLOCK, flat.shape[1]), np.int16)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return `(stop - start, 3 * width)` int16, up to `BLOCK` of its rows, until the next are asked for."""
        if self._above is None or self._weights is None:
            return self._rows[start:stop]
        above, weights = self._above[start:stop], self._weights[start:stop, np.newaxis]
        one, other = self._scratch[:, : stop - start]
        # In any other mode NumPy writes to a copy first.
        self._rows.take(above, axis=0, out=one, mode="clip")
        self._rows.take(above + 1, axis=0, out=other, mode="clip")
        return _between(one, other, weights)


def _widen(flat: np.ndarray, width: int) -> np.ndarray:
    """Enlarge the rows of a picture, `(height, 3 * columns)` int16, to a width."""
    left, weights = _grid(width, flat.shape[1] // 3)
    index, weights = (3 * left[:, np.newaxis] + np.arange(3)).ravel(), np.repeat(weights, 3)
    widened = np.empty((len(flat), 3 * width), np.int16)
    one = np.empty((BLOCK, 3 * width), np.int16)
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        other = widened[start : start + BLOCK]
        block.take(index, axis=1, out=one[: len(block)], mode="clip")
        block.take(index + 3, axis=1, out=other, mode="clip")
        _between(one[: len(block)], other, weights)
    return widened


def _grid(length: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each place of an axis that is enlarged, the source's place before it and the weight of the next."""
    places = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32(source / length)
    return _steps(places, source)


def _steps(places: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Split places along an axis into the pixel before, and the weight of the next, 0 to 128, int16."""
    fixed = np.rint((np.clip(places - np.float32(0.5), 0, max(length - 1, 0))) * _STEPS).astype(np.int32)
    before = np.minimum(fixed >> 7, max(length - 2, 0))
    return before, (fixed - (before << 7)).astype(np.int16)


def _between(one: np.ndarray, other: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of two int16 pictures, rounded; `other` is used up. It is `one` where both are equal."""
    other -= one
    other *= weights
    other += _STEPS // 2
    other >>= 7
    other += one
    return other
