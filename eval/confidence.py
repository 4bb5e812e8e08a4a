"""Confidence in scores, given the choice of the test images: bootstrap over them, interval, power.

The generated images are resampled, the real ones are not: they are the fixed yardstick of every score of one key. Two
generators over the same inputs share the draws, so that a difference of scores is resampled image by image.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from compress.errors import UnusableData

RESAMPLES = 1000
FEWEST_IMAGES = 2
_BLOCK_BYTES = 2**24
"""Bytes of the counts that are float64 numbers at once: all of up to 2,097 images, a part of more."""
_ROWS_TOGETHER = 8
"""Rows of a block come in multiples of it: OpenBLAS sums those as it sums all rows at once, to the last bit."""

_NORMAL_975 = 1.959964
"""97.5 % quantile of the normal distribution: 95 % of it lies within so many standard deviations of its mean."""
_NORMAL_80 = 0.841621
"""80 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """The range in which the true value lies with 95 % confidence."""

    low: float
    high: float


def resample_counts(images: int, *, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Draw as many images as there are, with replacement, again and again.

    Args:
        images: How many there are, in an order that the caller keeps: at least two.
        seed: Equal seeds draw the same on every platform and with every NumPy, whose `RandomState` is frozen.
        resamples: How often they are drawn.

    Returns:
        `(resamples, images)` uint8: how often each image came, which is at most as many times as there are images;
        that one of more than 255 comes more than 255 times has a probability below 1e-500. A draw of one image alone
        is drawn again, since neither its kernel distance nor its covariance exists.

    Raises:
        UnusableData: If there are fewer than two images.
    """
    counts = np.empty((resamples, images), dtype=np.uint8)
    done = 0
    for block in resample_blocks(images, seed=seed, resamples=resamples):
        counts[done : done + len(block)] = block
        done += len(block)
    return counts


def resample_blocks(images: int, *, seed: int, resamples: int = RESAMPLES) -> Iterator[np.ndarray]:
    """Yield what `resample_counts` returns a few resamples at a time, so that many images take no more memory.

    Args:
        images: As of `resample_counts`, which tells what it raises, too.
        seed: Likewise.
        resamples: Likewise.
    """
    if images < FEWEST_IMAGES:
        raise UnusableData(f"{images} image(s) cannot be resampled; confidence needs {FEWEST_IMAGES} or more.")
    stream, rows = np.random.RandomState(seed), _rows_together(images)
    for start in range(0, resamples, rows):
        counts = _draw_counts(stream, images, min(rows, resamples - start))
        # Only so few images that all resamples are one block are ever drawn so.
        while (alone := counts.max(axis=1) == images).any():
            counts[alone] = _draw_counts(stream, images, int(alone.sum()))
        yield counts


def resampled_means(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over each resample of a value that every image has for itself.

    Args:
        values: `(images,)`, finite.
        counts: `(resamples, images)`, from `resample_counts`.

    Returns:
        `(resamples,)` float64.
    """
    return resampled_sums(values.astype(np.float64), counts) / counts.sum(axis=1)


def resampled_sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the sum over each resample of values that every image has for itself.

    Args:
        values: `(images,)` or `(images, columns)` float64.
        counts: `(resamples, images)`, from `resample_counts`.

    Returns:
        `(resamples,)` or `(resamples, columns)` float64: `counts @ values`, in memory that does not grow.
    """
    return np.concatenate([block @ values for block in float_blocks(counts)])


def float_blocks(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield counts as float64 a few resamples at a time, so that a product with them takes no more memory for more."""
    rows = _rows_together(counts.shape[1])
    for start in range(0, len(counts), rows):
        yield counts[start : start + rows].astype(np.float64)


def normal_interval(estimate: float, resampled: np.ndarray) -> Interval:
    """Return the 95 % interval of a score or of a difference: normal, as wide as the resamples spread.

    The percentile and the basic interval may lie beside the truth. A resample holds an image several times, which
    lowers the rank of its covariance and so moves its Fréchet distance upward, by another amount for each generator:
    of a candidate with less variety than the baseline, as few as 0 % of such intervals held the true difference where
    the variance spreads over more features than there are images. The spread is not moved: of normal intervals 92 to
    100 % held it, by simulation. tests/eval/test_confidence.py repeats a part.

    It errs to the wide side where the generated images are nearly distributed as the real ones: a distance near its
    minimum is quadratic in the images' weights, and a bootstrap counts quadratic terms up to three times.

    Args:
        estimate: The value on all images, each once.
        resampled: `(resamples,)`, the same value on resamples; for a difference, the difference on each.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13.
    """
    margin = _NORMAL_975 * _standard_error(resampled)
    return Interval(low=estimate - margin, high=estimate + margin)


def interval_of_mean(values: Sequence[float] | np.ndarray, *, seed: int = 0) -> Interval | None:
    """Return the 95 % interval of a mean over the choice of images; None of fewer than two.

    Args:
        values: `(images,)`, finite: a value that every image has for itself.
        seed: Of the resamples.
    """
    if len(values) < FEWEST_IMAGES:
        return None
    held = np.asarray(values, dtype=np.float64)
    blocks = resample_blocks(len(held), seed=seed)
    return normal_interval(float(held.mean()), np.concatenate([resampled_means(held, block) for block in blocks]))


def smallest_visible_increase(resampled: np.ndarray) -> float:
    """Return the true increase that is found, by an interval wholly above zero, in 80 % of test sets of this size.

    Where the interval has to lie above a tolerance instead of zero, it adds to the tolerance.

    Args:
        resampled: `(resamples,)`, the difference on each resample.

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences: (z 97.5 % + z 80 %) standard errors.
    """
    return (_NORMAL_975 + _NORMAL_80) * _standard_error(resampled)


def _rows_together(images: int) -> int:
    """Return how many resamples of so many images are float64 numbers at once."""
    fitting = _BLOCK_BYTES // (np.dtype(np.float64).itemsize * images)
    return max(fitting // _ROWS_TOGETHER, 1) * _ROWS_TOGETHER


def _draw_counts(stream: np.random.RandomState, images: int, resamples: int) -> np.ndarray:
    # One resample after the other draws the same as all at once, in a thousandth of the memory. A byte a count: 20 MB
    # for 20,000 images, a tenth of what their features take.
    counts = np.empty((resamples, images), dtype=np.uint8)
    for resample in counts:
        drawn = stream.randint(0, images, size=images, dtype=np.int64)
        resample[:] = np.bincount(drawn, minlength=images)
    return counts


def _standard_error(resampled: np.ndarray) -> float:
    return float(np.std(resampled, ddof=1))
