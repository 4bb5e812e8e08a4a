"""Spread of the speed-ups of several runs over the same models, beyond the noise that each run knows of.

The rounds of one process share where its memory lies, how the processor is clocked and what else runs just then. So two
processes differ by more than their rounds show, and `bench check` has to allow for it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, expm1, log, log1p, sqrt
from statistics import NormalDist, fmean, median, variance
from typing import Any

from benchmarks.timing.baseline import SpeedMeasurement, require_one_kind
from compress.errors import UsageError
from compress.text_table import format_columns

_FEWEST_RUNS = 3
_TWO_SIDED_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread of one model's speed-up over runs. All noises are fractions: 0.05 is 5 %."""

    name: str
    runs: int
    speedup: float
    """Median over runs."""
    largest_difference: float
    """Difference between the fastest and the slowest run."""
    within_runs: float
    """Largest difference of 19 in 20 pairs of runs that the noise within them explains."""
    between_runs: float
    """Largest difference of 19 in 20 pairs from all other causes; 0 where the noise within runs explains everything."""


def measure_spread(measurements: Sequence[SpeedMeasurement]) -> list[Spread]:
    """Split the spread of several runs by its causes, for each model that they share.

    The logarithms of the speed-ups vary by the noise within runs and by other causes; the variances add.

    Raises:
        UsageError: If there are fewer than 3 runs.
        UnusableData: If they were measured on different kinds of machines or over different baselines.
    """
    if len(measurements) < _FEWEST_RUNS:
        raise UsageError(f"{len(measurements)} measurements, expected at least {_FEWEST_RUNS} of the same models.")
    first, *others = measurements
    for other in others:
        require_one_kind(other.kind, first.kind)
    shared = [name for name in first.models if all(name in other.models for other in others)]
    return [_split_spread(name, measurements) for name in shared]


def spread_record(spreads: Sequence[Spread]) -> dict[str, Any]:
    """Return the spreads, JSON-ready: `models`, and the largest `between_runs` of them."""
    return {
        "models": [asdict(one) for one in spreads],
        "between_runs": max((one.between_runs for one in spreads), default=None),
    }


def format_spread(spreads: Sequence[Spread]) -> str:
    """Format the spreads as a table for people."""
    rows = [("model", "runs", "speed-up", "largest difference", "their own noise explains", "between runs")]
    rows += [
        (
            one.name,
            str(one.runs),
            f"{one.speedup:.4g}x",
            f"{one.largest_difference:.1%}",
            f"{one.within_runs:.1%}",
            f"{one.between_runs:.1%}",
        )
        for one in spreads
    ]
    return "\n".join(format_columns(rows))


def _split_spread(name: str, measurements: Sequence[SpeedMeasurement]) -> Spread:
    held = [measurement.models[name] for measurement in measurements]
    logarithms = [log(one.speedup) for one in held]
    known = fmean((log1p(one.noise) / _TWO_SIDED_95) ** 2 for one in held)
    unknown = max(0.0, variance(logarithms) - known)
    return Spread(
        name=name,
        runs=len(held),
        speedup=exp(median(logarithms)),
        largest_difference=expm1(max(logarithms) - min(logarithms)),
        within_runs=_largest_difference(known),
        between_runs=_largest_difference(unknown),
    )


def _largest_difference(variance_of_one: float) -> float:
    return expm1(_TWO_SIDED_95 * sqrt(2 * variance_of_one))
