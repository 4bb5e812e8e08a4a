"""Latency of a candidate over its baseline's, from the JSON of `compress bench host --json`."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import NormalDist

from compress.bench_record import read_bench
from compress.errors import UnusableData
from eval.confidence import Interval

_FEWEST = 2
_MEDIAN_OVER_MEAN = 1.2533
"""Standard error of a median of normal values over that of their mean: the root of pi / 2."""
_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """The candidate's latency as a multiple of the baseline's."""

    ratio: float
    interval: Interval
    """95 % interval."""


def read_latency_ratio(path: Path) -> LatencyRatio:
    """Read a benchmark's first entry as the baseline and its last one as the candidate.

    The ratio is the median over interleaved rounds, as the benchmark counts a speed-up. A benchmark records the range
    of the rounds' ratios, not the rounds. Of normal values the range tells the standard deviation, by its expectation
    at that number of rounds; rounds that were disturbed widen it, so the interval errs to the wide side.

    Raises:
        UnusableData: If the file is no benchmark of at least two models, or its speed-up was withheld as too noisy.

    Source: Tippett 1925, On the extreme individuals and the range of samples, Biometrika 17; Blom 1958 for the
    expectation of the largest value.
    """
    record = read_bench(path)
    if len(record.entries) < _FEWEST:
        raise UnusableData(f"{path} holds a single model; expected the baseline's and the candidate's.")
    entry = record.entries[-1]
    if entry.withheld:
        raise UnusableData(
            f"{path} cannot be held against --max-latency-ratio: {entry.withheld}. Measure again while the machine "
            "does nothing else."
        )
    if entry.speedup_range is None or record.runs < _FEWEST:
        raise UnusableData(f"{path} does not tell how far its rounds lie apart; measure anew with --runs of 2 or more.")
    ratio, slowest, fastest = 1 / entry.speedup, 1 / entry.speedup_range[0], 1 / entry.speedup_range[1]
    deviation = (slowest - fastest) / _expected_range(record.runs)
    reach = _TWO_SIDED_95 * _MEDIAN_OVER_MEAN * deviation / sqrt(record.runs)
    return LatencyRatio(ratio=ratio, interval=Interval(low=ratio - reach, high=ratio + reach))


def _expected_range(rounds: int) -> float:
    """Return the expected range of that many standard normal values, by Blom's approximation."""
    return 2 * NormalDist().inv_cdf((rounds - 0.375) / (rounds + 0.25))
