"""Pass, regression or inconclusive, by where the 95 % interval of a difference lies to its limit."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from eval.confidence import Interval, interval, resampled_means, smallest_visible_increase
from eval.gate.limits import Limit
from eval.gate.measurement import Resampled

Verdict = Literal["pass", "regression", "inconclusive"]
Worse = Literal["higher", "lower"]

_GRAVITY: Sequence[Verdict] = ("pass", "inconclusive", "regression")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One limit, what was measured against it, and what follows."""

    name: str
    """Of the limit: the configuration's field."""
    metric: str
    unit: str
    """Empty for a distance, which has none."""
    baseline: float | None
    """None where the candidate alone is held against the limit."""
    candidate: float
    difference: float | None
    """Candidate minus baseline."""
    interval: Interval | None
    """Of the difference, or of the candidate where there is no baseline; None where nothing is uncertain."""
    limit: float
    """The bound of the difference, or of the candidate where there is no baseline; in the metric's unit."""
    limit_text: str
    """The limit as it was given."""
    worse: Worse
    """On which side of the limit the candidate is worse."""
    smallest_visible: float | None
    """The smallest true change for the worse that is found with 80 % power; None where nothing is uncertain."""
    verdict: Verdict

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest: any regression is one; else what cannot be told of a part cannot be told of the whole."""
    return _GRAVITY[max((_GRAVITY.index(verdict) for verdict in verdicts), default=0)]


def where_it_lies(found: Interval, limit: float, worse: Worse) -> Verdict:
    """Hold an interval against a limit; to touch it is to keep it.

    Args:
        found: The 95 % interval of what is limited.
        limit: The last value that is allowed.
        worse: On which side of it values are worse.
    """
    low, high, bound = (found.low, found.high, limit) if worse == "higher" else (-found.high, -found.low, -limit)
    if low > bound:
        return "regression"
    return "pass" if high <= bound else "inconclusive"


def increase_check(name: str, metric: str, baseline: Resampled, candidate: Resampled, limit: Limit) -> Check:
    """Check how far a distance has risen.

    A relative limit depends on the baseline's value, which is itself uncertain. So what is resampled is the excess,
    `candidate - baseline - limit of the baseline`, and the interval of the difference is the excess's, moved by the
    limit: to hold it against the limit is to hold the excess against 0.

    Args:
        name: The configuration's field.
        metric: The name of the distance.
        baseline: The baseline's; above 0 where the limit is relative.
        candidate: Measured on the same resamples.
        limit: The largest increase that is allowed.
    """
    allowed = limit.allowed(baseline.value)
    excess = candidate.value - baseline.value - allowed
    resampled = candidate.resampled - baseline.resampled - limit.allowed(baseline.resampled)
    of_excess = interval(excess, resampled)
    of_difference = Interval(low=of_excess.low + allowed, high=of_excess.high + allowed)
    return Check(
        name=name,
        metric=metric,
        unit="",
        baseline=baseline.value,
        candidate=candidate.value,
        difference=candidate.value - baseline.value,
        interval=of_difference,
        limit=allowed,
        limit_text=limit.text,
        worse="higher",
        smallest_visible=smallest_visible_increase(resampled),
        verdict=where_it_lies(of_excess, 0.0, "higher"),
    )


def paired_check(
    name: str,
    metric: str,
    unit: str,
    *,
    baseline: np.ndarray,
    candidate: np.ndarray,
    counts: np.ndarray,
    limit: float,
    worse: Worse,
) -> Check:
    """Check how far the mean of per-image values has moved.

    Args:
        name: The configuration's field.
        metric: What the values are.
        unit: Of the values.
        baseline: `(images,)`
        candidate: `(images,)`, of the same images.
        counts: `(resamples, images)`, see `resample_counts`.
        limit: The bound of the mean difference, candidate minus baseline.
        worse: On which side of the limit the candidate is worse.
    """
    differences = candidate - baseline
    found, visible = _uncertain_mean(differences, counts)
    return Check(
        name=name,
        metric=metric,
        unit=unit,
        baseline=float(baseline.mean()),
        candidate=float(candidate.mean()),
        difference=float(differences.mean()),
        interval=found,
        limit=limit,
        limit_text=f"{abs(limit):g}",
        worse=worse,
        smallest_visible=visible,
        verdict=where_it_lies(found, limit, worse),
    )


def mean_check(
    name: str, metric: str, unit: str, *, candidate: np.ndarray, counts: np.ndarray, limit: float, worse: Worse
) -> Check:
    """Check the mean of per-image values of the candidate alone; arguments as `paired_check`."""
    found, visible = _uncertain_mean(candidate, counts)
    return Check(
        name=name,
        metric=metric,
        unit=unit,
        baseline=None,
        candidate=float(candidate.mean()),
        difference=None,
        interval=found,
        limit=limit,
        limit_text=f"{limit:g}",
        worse=worse,
        smallest_visible=visible,
        verdict=where_it_lies(found, limit, worse),
    )


def most_check(name: str, metric: str, unit: str, *, candidate: float, most: float, found: Interval | None) -> Check:
    """Check that one number of the candidate is not above a bound.

    Args:
        name: The configuration's field.
        metric: What the number is.
        unit: Of the number.
        candidate: The number.
        most: The largest that is allowed.
        found: The number's 95 % interval; None where it is exact.
    """
    return Check(
        name=name,
        metric=metric,
        unit=unit,
        baseline=None,
        candidate=candidate,
        difference=None,
        interval=found,
        limit=most,
        limit_text=f"{most:.10g}",
        worse="higher",
        smallest_visible=None,
        verdict=where_it_lies(found or Interval(low=candidate, high=candidate), most, "higher"),
    )


def gravest(checks: Iterable[Check]) -> Check:
    """Of checks that hold several values against one limit, the one that decides: the gravest, then the largest."""
    return max(checks, key=lambda check: (_GRAVITY.index(check.verdict), check.candidate))


def _uncertain_mean(values: np.ndarray, counts: np.ndarray) -> tuple[Interval, float]:
    resampled = resampled_means(values, counts)
    return interval(float(values.mean()), resampled), smallest_visible_increase(resampled)
