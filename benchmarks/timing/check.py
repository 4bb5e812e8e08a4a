"""`compress bench check`: did a model get slower, against its baseline's speed-up, than noise explains?

Verdicts are pass, regression or inconclusive: a speed-up that was withheld as too noisy is never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, hypot, log1p
from typing import Any, Literal

from benchmarks.timing.baseline import Speed, SpeedMeasurement, require_one_kind
from compress.errors import GateFailed, UnusableData, UsageError
from compress.text_table import format_columns

BETWEEN_RUNS_NOISE = 0.05
"""Largest difference between two processes though nothing changed, in 19 of 20 pairs: where memory lies, how the
processor is clocked. The rounds of one process do not show it; `python -m benchmarks.toolkit spread` tells it from
several measurements. Of 12 over a float student and its int8 export on two idle cores, of 100 rounds each, it left
2.4 % beyond their own noise; on cores that other work held for 64 - 88 % of the time nothing beyond one of 9 - 21 %.
With two measurements at `MAX_NOISE`, a slowdown of 16 % fails."""
Verdict = Literal["pass", "regression", "inconclusive"]


@dataclass(frozen=True, kw_only=True)
class SpeedCheck:
    """The result for one model: its speed-up, and its size where that has a limit."""

    name: str
    accepted: Speed
    measured: Speed
    slowdown: float
    """Accepted speed-up over the measured one; above 1 is slower."""
    most_slowdown: float
    """Largest slowdown that the noise of both measurements explains."""
    size_ratio: float | None
    """Measured size over the accepted one; None of commands, which have no size."""
    most_size_ratio: float | None

    @property
    def slower(self) -> bool:
        return self.slowdown > self.most_slowdown

    @property
    def larger(self) -> bool:
        if self.size_ratio is None or self.most_size_ratio is None:
            return False
        return self.size_ratio > self.most_size_ratio

    @property
    def verdict(self) -> Verdict:
        return "regression" if self.slower or self.larger else "pass"

    def to_mapping(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        return asdict(self) | {"verdict": self.verdict}


def check_speeds(
    measured: SpeedMeasurement, accepted: SpeedMeasurement, *, max_size_ratio: float | None = None
) -> list[SpeedCheck]:
    """Compare a measurement with the accepted one.

    Args:
        measured: The new measurement.
        accepted: The baseline file's measurement; models that it does not know are not checked.
        max_size_ratio: Largest size as a multiple of the accepted one; sizes are not checked when not given.

    Returns:
        A result for each accepted model whose speed-up is not withheld, see `find_inconclusive`.

    Raises:
        UsageError: If the limit is not above 0.
        UnusableData: If the two were measured on different kinds of machines or over different models, or if a model
            is missing.
    """
    if max_size_ratio is not None and not max_size_ratio > 0:
        raise UsageError(f"max_size_ratio = {max_size_ratio}, expected a multiple such as 1.02.")
    if max_size_ratio is not None and any(held.size_bytes is None for held in accepted.models.values()):
        raise UsageError("max_size_ratio was given, but the baseline file holds commands, which have no size.")
    require_one_kind(measured.kind, accepted.kind)
    present = [*measured.models, *measured.withheld]
    missing = [name for name in accepted.models if name not in present]
    if missing:
        raise UnusableData(
            f"the baseline holds {', '.join(missing)}, but the measurement does not; it holds "
            f"{', '.join(present)}. Measure all of them, or accept anew."
        )
    return [
        _check_one(name, measured.models[name], held, max_size_ratio=max_size_ratio)
        for name, held in accepted.models.items()
        if name in measured.models
    ]


def find_inconclusive(measured: SpeedMeasurement, accepted: SpeedMeasurement) -> dict[str, str]:
    """Return the accepted models whose measured speed-up was withheld, with the reason."""
    return {name: measured.withheld[name] for name in accepted.models if name in measured.withheld}


def summarize_checks(checks: Sequence[SpeedCheck], inconclusive: Mapping[str, str]) -> dict[str, Any]:
    """Return the outcome, JSON-ready: `verdict`, the gravest of all; `passed`, `checks`; `inconclusive`, by reason."""
    verdicts: set[Verdict] = {one.verdict for one in checks}
    if "regression" in verdicts:
        verdict: Verdict = "regression"
    else:
        verdict = "inconclusive" if inconclusive else "pass"
    return {
        "verdict": verdict,
        "passed": verdict == "pass",
        "checks": [one.to_mapping() for one in checks],
        "inconclusive": dict(inconclusive),
    }


def raise_unless_passed(checks: Sequence[SpeedCheck], inconclusive: Mapping[str, str]) -> None:
    """Raise the gate's error where a model got worse, or the one of unusable data where that is inconclusive.

    Raises:
        GateFailed: Naming the models that got worse, by how much, and the limit.
        UnusableData: Naming the models whose speed-up was withheld.
    """
    failures = []
    for one in checks:
        if one.slower:
            failures.append(
                f"regression: {one.name} is {one.slowdown - 1:.1%} slower against its baseline than was accepted "
                f"({one.measured.speedup:.4g}x, accepted {one.accepted.speedup:.4g}x); noise explains "
                f"{one.most_slowdown - 1:.1%}."
            )
        if one.larger:
            failures.append(
                f"regression: {one.name} takes {one.measured.size_bytes} bytes, {one.size_ratio:.3f} times the "
                f"accepted {one.accepted.size_bytes}; --max-size-ratio allows {one.most_size_ratio}."
            )
    if failures:
        raise GateFailed("\n".join(failures))
    if inconclusive:
        raise UnusableData(
            "inconclusive; measure again while the machine does nothing else.\n"
            + "\n".join(f"{name}: {why}." for name, why in inconclusive.items())
        )


def format_checks(checks: Sequence[SpeedCheck], inconclusive: Mapping[str, str]) -> str:
    """Return the results as a table for people."""
    rows = [("model", "accepted", "measured", "slower by", "noise explains", "size", "verdict")]
    rows += [
        (
            one.name,
            f"{one.accepted.speedup:.4g}x",
            f"{one.measured.speedup:.4g}x",
            f"{one.slowdown - 1:+.1%}",
            f"{one.most_slowdown - 1:.1%}",
            "-" if one.size_ratio is None else f"{one.size_ratio:.3f}x",
            one.verdict,
        )
        for one in checks
    ]
    rows += [(name, *["-"] * (len(rows[0]) - 2), "inconclusive") for name in inconclusive]
    return "\n".join(format_columns(rows))


def compare_baselines(old: SpeedMeasurement, new: SpeedMeasurement) -> dict[str, dict[str, Any]]:
    """Return the changes of a new baseline: by name, `from` and `to`, of speed-ups, sizes and conditions."""
    before, after = _facts(old), _facts(new)
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in before | after
        if before.get(name) != after.get(name)
    }


def _facts(measurement: SpeedMeasurement) -> dict[str, Any]:
    facts = dict(measurement.kind)
    for name, held in measurement.models.items():
        facts |= {f"{name}, speedup": float(f"{held.speedup:.4g}"), f"{name}, size_bytes": held.size_bytes}
    return facts


def _check_one(name: str, measured: Speed, accepted: Speed, *, max_size_ratio: float | None) -> SpeedCheck:
    # Noises are fractions of ratios: logarithms add, and independent ones as the sides of a right angle.
    noise = hypot(log1p(measured.noise), log1p(accepted.noise), log1p(BETWEEN_RUNS_NOISE))
    return SpeedCheck(
        name=name,
        accepted=accepted,
        measured=measured,
        slowdown=accepted.speedup / measured.speedup,
        most_slowdown=exp(noise),
        size_ratio=measured.size_bytes / accepted.size_bytes if measured.size_bytes and accepted.size_bytes else None,
        most_size_ratio=max_size_ratio,
    )
