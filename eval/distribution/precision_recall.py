"""Improved precision and recall of two sets of features: quality and variety apart."""

from dataclasses import dataclass

import numpy as np

NEIGHBOURS = 3
"""Nearest neighbours that span the region of an image."""
_ROWS_AT_ONCE = 1024
"""Most images of either set whose distances are in memory at once: 8 MB of float64 numbers."""


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
    total = real.sum(axis=0, dtype=np.float64) + fake.sum(axis=0, dtype=np.float64)
    centre = total / (len(real) + len(fake))
    return PrecisionRecall(
        precision=_share_within_reach(fake, real, centre), recall=_share_within_reach(real, fake, centre)
    )


def _share_within_reach(points: np.ndarray, centres: np.ndarray, origin: np.ndarray) -> float:
    """Return the share of points no further from some centre than its third nearest neighbour among the centres."""
    reach = _squared_reach(centres, origin)
    within = 0
    for rows in _blocks(len(points)):
        block = points[rows] - origin
        reached = np.zeros(len(block), bool)
        for columns in _blocks(len(centres)):
            squares = _squared_distances(block, centres[columns] - origin)
            reached |= (squares <= reach[columns]).any(axis=1)
        within += int(reached.sum())
    return within / len(points)


def _squared_reach(centres: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Return each centre's squared distance to its third nearest neighbour, `(centres,)` float64."""
    found = []
    for rows in _blocks(len(centres)):
        block = centres[rows] - origin
        # A centre is its own nearest.
        nearest = np.full((len(block), NEIGHBOURS + 1), np.inf)
        for columns in _blocks(len(centres)):
            squares = _squared_distances(block, centres[columns] - origin)
            together = np.concatenate([nearest, squares], axis=1)
            nearest = np.partition(together, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
        # A copy, since a view would keep the block.
        found.append(nearest[:, NEIGHBOURS].copy())
    return np.concatenate(found)


def _squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the squared distances of rows of two arrays, `(first, second)` float64."""
    squares = first @ second.T
    squares *= -2
    squares += np.einsum("if,if->i", first, first)[:, None]
    squares += np.einsum("if,if->i", second, second)
    return squares.clip(min=0.0, out=squares)


def _blocks(images: int) -> list[slice]:
    return [slice(start, start + _ROWS_AT_ONCE) for start in range(0, images, _ROWS_AT_ONCE)]
