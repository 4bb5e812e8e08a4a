"""Improved precision and recall of two sets of features: quality and variety apart."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 3
"""Nearest neighbours that span the region of an image."""
_BLOCK_BYTES = 2**25
"""Bytes of the distances of some images to all others in memory at once: the whole table of 20,000 takes 3.2 GB."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """Two shares from 0 to 1: of fakes that look real, and of real images that the fakes cover."""

    precision: float
    recall: float


def precision_recall(real: np.ndarray, fake: np.ndarray) -> PrecisionRecall:
    """Return the share of each set that lies among the other: within reach of an image's third nearest neighbour.

    Both depend on the number of images, and move in steps of one image: compare only equal numbers of them.

    Args:
        real: `(images, features)` float32, at least four images.
        fake: `(images, features)` float32, at least four images.

    Source: Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models,
    arXiv:1904.06991, section 2.
    """
    # About their centre, so that squares of distances are no differences of large numbers.
    centre = np.concatenate([real, fake]).mean(axis=0, dtype=np.float64)
    real, fake = real - centre, fake - centre
    return PrecisionRecall(precision=_share_within_reach(fake, real), recall=_share_within_reach(real, fake))


def _share_within_reach(points: np.ndarray, centres: np.ndarray) -> float:
    """Return the share of points no further from some centre than its third nearest neighbour among the centres."""
    # An image is its own nearest.
    reach = np.concatenate(
        [np.partition(squares, NEIGHBOURS, axis=1)[:, NEIGHBOURS] for squares in _squared_distances(centres, centres)]
    )
    within = [(squares <= reach).any(axis=1) for squares in _squared_distances(points, centres)]
    return float(np.concatenate(within).mean())


def _squared_distances(first: np.ndarray, second: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the squared distances of some images after the others to all of a second set, `(rows, images)` float64."""
    lengths = np.einsum("if,if->i", second, second)
    rows = _rows_at_once(len(second))
    for start in range(0, len(first), rows):
        block = first[start : start + rows]
        squares = block @ second.T
        squares *= -2
        squares += np.einsum("if,if->i", block, block)[:, None]
        squares += lengths
        yield squares.clip(min=0.0, out=squares)


def _rows_at_once(images: int) -> int:
    """Return how many images' distances to so many are computed at once: a power of two, as BLAS divides."""
    return 2 ** max(int(np.log2(_BLOCK_BYTES / (np.float64().nbytes * images))), 0)
