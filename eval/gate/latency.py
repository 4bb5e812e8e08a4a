"""Latency of a candidate over its baseline's, from the JSON of `compress bench host --json`."""

import json
from dataclasses import dataclass
from math import inf, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

from compress.errors import UnusableData
from eval.confidence import Interval

_FEWEST_ENTRIES = 2
_MEDIAN_OVER_MEAN = 1.2533
"""Standard error of a median of normal values over that of their mean: the root of pi / 2."""
_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, kw_only=True)
class LatencyRatio:
    """The candidate's latency as a multiple of the baseline's."""

    ratio: float
    interval: Interval | None
    """95 % interval; None of a single round, which tells nothing of its spread."""


def read_latency_ratio(path: Path) -> LatencyRatio:
    """Read a benchmark's first entry as the baseline and its last one as the candidate.

    The ratio is the median over interleaved rounds, as the benchmark counts a speed-up. A benchmark records the range
    of the rounds' ratios, not the rounds. Of normal values the range tells the standard deviation, by its expectation
    at that number of rounds; rounds that were disturbed widen it, so the interval errs to the wide side.

    Raises:
        UnusableData: If the file is no benchmark of at least two models.

    Source: Tippett 1925, On the extreme individuals and the range of samples, Biometrika 17; Blom 1958 for the
    expectation of the largest value.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        entries, rounds = record["entries"], int(record["runs"])
        if len(entries) < _FEWEST_ENTRIES:
            raise ValueError(f"{len(entries)} entries, expected the baseline's and the candidate's")
        ratio, (fastest, slowest) = _parse_ratio(entries[-1])
        if not 0 < fastest <= ratio <= slowest < inf:
            raise ValueError(f"a ratio of {ratio:g} outside of its range of {fastest:g} to {slowest:g}")
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise UnusableData(
            f"{path} cannot be read as a benchmark ({error!r}); expected what `compress bench host --json` prints."
        ) from error
    if rounds < _FEWEST_ENTRIES:
        return LatencyRatio(ratio=ratio, interval=None)
    deviation = (slowest - fastest) / _expected_range(rounds)
    reach = _TWO_SIDED_95 * _MEDIAN_OVER_MEAN * deviation / sqrt(rounds)
    return LatencyRatio(ratio=ratio, interval=Interval(low=ratio - reach, high=ratio + reach))


def _parse_ratio(entry: dict[str, Any]) -> tuple[float, tuple[float, float]]:
    """Return the inverse of a speed-up, with the smallest and the largest of its rounds."""
    least, most = entry["speedup_range"]
    return 1 / entry["speedup"], (1 / most, 1 / least)


def _expected_range(rounds: int) -> float:
    """Return the expected range of that many standard normal values, by Blom's approximation."""
    return 2 * NormalDist().inv_cdf((rounds - 0.375) / (rounds + 0.25))
