"""Verdicts: pass, regression or inconclusive, by where the 95 % interval of a difference lies to its limit."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any, Literal

import numpy as np

from eval.confidence import Interval, normal_interval, resampled_means, smallest_visible_increase
from eval.gate.limits import Limit
from eval.gate.measurement import ResampledDistance

Verdict = Literal["pass", "regression", "inconclusive"]
Worse = Literal["higher", "lower"]

GOOD_DB = 30.0
"""PSNR of an error of 8 levels."""
USUAL_SPREAD = 6.0
"""Spreads by which drops reach by chance. Between two students of horse2zebra of different size, the worst three of
100 lay within 4.4 spreads; ten with two black patches beyond 40, five black ones beyond 60."""
_WORST_SHARE, _FEWEST_WORST = 0.03, 2
_SPREAD_OVER_DEVIATION = 1.4826

_GRAVITY: Sequence[Verdict] = ("pass", "inconclusive", "regression")


@dataclass(frozen=True, kw_only=True)
class LimitCheck:
    """One limit, the measurement that it was held against, and the verdict."""

    name: str
    """Name of the limit: the configuration's field."""
    metric: str
    unit: str
    """Empty for a distance, which has none."""
    baseline: float | None
    """None where the candidate alone is held against the limit."""
    candidate: float
    difference: float | None
    """Candidate minus baseline."""
    interval: Interval | None
    """95 % interval of the difference, or of the candidate's value without a baseline; None of an exact number."""
    limit: float
    """Bound of the difference, or of the candidate's value without a baseline; in the metric's unit."""
    limit_text: str
    """The limit as it was given."""
    worse: Worse
    """Side of the limit on which the candidate is worse."""
    smallest_visible: float | None
    """Smallest true change for the worse that is found with 80 % power; None of an exact number."""
    verdict: Verdict

    def to_mapping(self) -> dict[str, Any]:
        """Return the check as JSON holds it."""
        return asdict(self)


def combine_verdicts(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the gravest verdict: a regression, else inconclusive, else pass."""
    return _GRAVITY[max((_GRAVITY.index(verdict) for verdict in verdicts), default=0)]


def decide_verdict(found: Interval, limit: float, worse: Worse) -> Verdict:
    """Compare an interval with a limit; to touch the limit is to keep it.

    Args:
        found: The 95 % interval of the limited value.
        limit: The last value that is allowed.
        worse: Side of it on which values are worse.
    """
    low, high, bound = (found.low, found.high, limit) if worse == "higher" else (-found.high, -found.low, -limit)
    if low > bound:
        return "regression"
    return "pass" if high <= bound else "inconclusive"


def check_increase(
    name: str, metric: str, baseline: ResampledDistance, candidate: ResampledDistance, limit: Limit
) -> LimitCheck:
    """Check how far a distance has risen.

    A relative limit depends on the baseline's value, which is itself uncertain. So the excess is resampled,
    `candidate - baseline - limit of the baseline`, and the interval of the difference is that of the excess, moved by
    the limit: to compare it with the limit is to compare the excess with 0.

    Args:
        name: The configuration's field.
        metric: The name of the distance.
        baseline: The baseline's distance; above 0 where the limit is relative.
        candidate: The candidate's distance on the same resamples.
        limit: The largest increase that is allowed.
    """
    allowed = limit.allowed(baseline.value)
    excess = candidate.value - baseline.value - allowed
    resampled = candidate.resampled - baseline.resampled - limit.allowed(baseline.resampled)
    excess_interval = normal_interval(excess, resampled)
    difference_interval = Interval(low=excess_interval.low + allowed, high=excess_interval.high + allowed)
    return LimitCheck(
        name=name,
        metric=metric,
        unit="",
        baseline=baseline.value,
        candidate=candidate.value,
        difference=candidate.value - baseline.value,
        interval=difference_interval,
        limit=allowed,
        limit_text=limit.text,
        worse="higher",
        smallest_visible=smallest_visible_increase(resampled),
        verdict=decide_verdict(excess_interval, 0.0, "higher"),
    )


def check_paired_mean(
    name: str,
    metric: str,
    unit: str,
    *,
    baseline: np.ndarray,
    candidate: np.ndarray,
    counts: np.ndarray,
    limit: float,
    worse: Worse,
) -> LimitCheck:
    """Check how far the mean of per-image values has moved.

    Args:
        name: The configuration's field.
        metric: Name of the values.
        unit: Unit of the values.
        baseline: The baseline's values, `(images,)`.
        candidate: The candidate's, of the same images.
        counts: `(resamples, images)`, from `resample_counts`.
        limit: The bound of the mean difference, candidate minus baseline.
        worse: Side of the limit on which the candidate is worse.
    """
    differences = candidate - baseline
    found, visible = _uncertain_mean(differences, counts)
    return LimitCheck(
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
        verdict=decide_verdict(found, limit, worse),
    )


def check_cast(
    name: str, metric: str, *, baseline: np.ndarray, candidate: np.ndarray, counts: np.ndarray, limit: float
) -> LimitCheck:
    """Check how far the mean of per-image offsets has moved away from 0, to whichever side.

    Args:
        name: The configuration's field.
        metric: Name of the offsets.
        baseline: The baseline's offsets from the teacher, `(images,)`, levels of 255.
        candidate: The candidate's, of the same images.
        counts: `(resamples, images)`, from `resample_counts`.
        limit: The largest increase of the mean's size.
    """
    before, after = abs(float(baseline.mean())), abs(float(candidate.mean()))
    resampled = np.abs(resampled_means(candidate, counts)) - np.abs(resampled_means(baseline, counts))
    found = normal_interval(after - before, resampled)
    return LimitCheck(
        name=name,
        metric=metric,
        unit="levels",
        baseline=before,
        candidate=after,
        difference=after - before,
        interval=found,
        limit=limit,
        limit_text=f"{limit:g}",
        worse="higher",
        smallest_visible=smallest_visible_increase(resampled),
        verdict=decide_verdict(found, limit, "higher"),
    )


def check_worst_drop(
    name: str, metric: str, *, baseline: np.ndarray, candidate: np.ndarray, limit: float | None, default: float
) -> LimitCheck:
    """Check how far the worst few pictures have fallen: a few terrible ones among a hundred move no mean.

    The drop is the mean over the worst 3 % of the pictures, at least two. It is exact: these pictures are worse,
    whichever others might have been drawn. A baseline above `GOOD_DB` counts as that, where nobody sees a difference.

    Where all pictures changed, as after another training, some have fallen by chance. So without a limit of the user's
    own, `default` grows to `USUAL_SPREAD` times the spread of the drops, measured so that the worst few do not widen
    it: 1.4826 times the median absolute deviation, which estimates a normal standard deviation.

    Args:
        name: The configuration's field.
        metric: Name of the values.
        baseline: The baseline's PSNR of each image, `(images,)`, dB.
        candidate: The candidate's, of the same images.
        limit: The largest drop, dB; None for the default.
        default: The least that the default is, dB.

    Source: Rousseeuw and Croux 1993, Alternatives to the Median Absolute Deviation, JASA 88(424).
    """
    drops = np.minimum(baseline, GOOD_DB) - np.minimum(candidate, GOOD_DB)
    worst = np.sort(drops)[-max(_FEWEST_WORST, ceil(_WORST_SHARE * len(drops))) :]
    spread = _SPREAD_OVER_DEVIATION * float(np.median(np.abs(drops - np.median(drops))))
    allowed = max(default, USUAL_SPREAD * spread) if limit is None else limit
    check = check_maximum(
        name, f"{metric}_drop, worst {len(worst)}", "dB", candidate=float(worst.mean()), maximum=allowed, found=None
    )
    return replace(check, limit_text=f"{allowed:.3g}" if limit is None else f"{limit:g}")


def check_mean(
    name: str, metric: str, unit: str, *, candidate: np.ndarray, counts: np.ndarray, limit: float, worse: Worse
) -> LimitCheck:
    """Check the mean of per-image values of the candidate alone; arguments as `check_paired_mean`."""
    found, visible = _uncertain_mean(candidate, counts)
    return LimitCheck(
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
        verdict=decide_verdict(found, limit, worse),
    )


def check_maximum(
    name: str, metric: str, unit: str, *, candidate: float, maximum: float, found: Interval | None
) -> LimitCheck:
    """Check that one number of the candidate is not above a bound.

    Args:
        name: The configuration's field.
        metric: Name of the number.
        unit: Unit of the number.
        candidate: The number.
        maximum: The largest that is allowed.
        found: The number's 95 % interval; None where it is exact.
    """
    return LimitCheck(
        name=name,
        metric=metric,
        unit=unit,
        baseline=None,
        candidate=candidate,
        difference=None,
        interval=found,
        limit=maximum,
        limit_text=f"{maximum:.10g}",
        worse="higher",
        smallest_visible=None,
        verdict=decide_verdict(found or Interval(low=candidate, high=candidate), maximum, "higher"),
    )


def choose_gravest(checks: Iterable[LimitCheck]) -> LimitCheck:
    """Return which of several values' checks against one limit decides: the gravest, then that of the largest value."""
    return max(checks, key=lambda check: (_GRAVITY.index(check.verdict), check.candidate))


def _uncertain_mean(values: np.ndarray, counts: np.ndarray) -> tuple[Interval, float]:
    resampled = resampled_means(values, counts)
    return normal_interval(float(values.mean()), resampled), smallest_visible_increase(resampled)
