"""`compress bench check`: did a model get slower, against its baseline's speed-up, than noise explains?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, hypot, log1p
from typing import Any, Literal

from benchmarks.baseline import Measurement, Speed
from benchmarks.table import aligned
from compress.errors import GateFailed, UnusableData, UsageError

BETWEEN_RUNS_NOISE = 0.05
"""What two processes may differ by though nothing changed: where memory lies, how the processor is clocked. The rounds
of one process know nothing of it. Chosen, not measured: with two measurements at `MAX_NOISE`, a slowdown of 16 % fails.
"""
Verdict = Literal["pass", "regression"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One model's speed-up, and its size where that has a limit."""

    name: str
    accepted: Speed
    measured: Speed
    slowdown: float
    """Accepted speed-up over measured one; above 1 is slower."""
    most_slowdown: float
    """What the noise of both explains."""
    size_ratio: float
    most_size_ratio: float | None

    @property
    def slower(self) -> bool:
        return self.slowdown > self.most_slowdown

    @property
    def larger(self) -> bool:
        return self.most_size_ratio is not None and self.size_ratio > self.most_size_ratio

    @property
    def verdict(self) -> Verdict:
        return "regression" if self.slower or self.larger else "pass"

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"verdict": self.verdict}


def check(measured: Measurement, accepted: Measurement, *, max_size_ratio: float | None = None) -> list[Check]:
    """Hold a measurement against what was accepted.

    Args:
        measured: The new one.
        accepted: The baseline file's; models that it does not know are not checked.
        max_size_ratio: Largest size as a multiple of the accepted one; sizes are not checked when not given.

    Raises:
        UsageError: If the limit is not above 0.
        UnusableData: If the two were measured on different kinds of machines or over different models, or if a model
            is missing.
    """
    if max_size_ratio is not None and not max_size_ratio > 0:
        raise UsageError(f"max_size_ratio = {max_size_ratio}, expected a multiple such as 1.02.")
    _require_one_kind(measured.kind, accepted.kind)
    missing = [name for name in accepted.models if name not in measured.models]
    if missing:
        raise UnusableData(
            f"the baseline holds {', '.join(missing)}, but the measurement does not; it holds "
            f"{', '.join(measured.models)}. Measure all of them, or accept anew."
        )
    return [
        _check_one(name, measured.models[name], held, max_size_ratio=max_size_ratio)
        for name, held in accepted.models.items()
    ]


def outcome(checks: Sequence[Check]) -> dict[str, Any]:
    """JSON-ready: `verdict`, `passed` and `checks`."""
    passed = all(one.verdict == "pass" for one in checks)
    return {
        "verdict": "pass" if passed else "regression",
        "passed": passed,
        "checks": [one.to_mapping() for one in checks],
    }


def raise_if_failed(checks: Sequence[Check]) -> None:
    """End the command with the gate's exit code.

    Raises:
        GateFailed: Naming what got worse, by how much, and what was allowed.
    """
    told = []
    for one in checks:
        if one.slower:
            told.append(
                f"regression: {one.name} is {one.slowdown - 1:.1%} slower against the first model than was accepted "
                f"({one.measured.speedup:.2f}x, accepted {one.accepted.speedup:.2f}x); noise explains "
                f"{one.most_slowdown - 1:.1%}."
            )
        if one.larger:
            told.append(
                f"regression: {one.name} takes {one.measured.size_bytes} bytes, {one.size_ratio:.3f} times the "
                f"accepted {one.accepted.size_bytes}; --max-size-ratio allows {one.most_size_ratio}."
            )
    if told:
        raise GateFailed("\n".join(told))


def text(checks: Sequence[Check]) -> str:
    """The result as people read it."""
    rows = [("model", "accepted", "measured", "slower by", "noise explains", "size", "verdict")]
    rows += [
        (
            one.name,
            f"{one.accepted.speedup:.2f}x",
            f"{one.measured.speedup:.2f}x",
            f"{one.slowdown - 1:+.1%}",
            f"{one.most_slowdown - 1:.1%}",
            f"{one.size_ratio:.3f}x",
            one.verdict,
        )
        for one in checks
    ]
    return "\n".join(aligned(rows))


def changes(old: Measurement, new: Measurement) -> dict[str, dict[str, Any]]:
    """What a new baseline changes: by name, `from` and `to`, of speed-ups, sizes and what they hold for."""
    before, after = _facts(old), _facts(new)
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in before | after
        if before.get(name) != after.get(name)
    }


def _facts(measurement: Measurement) -> dict[str, Any]:
    facts = dict(measurement.kind)
    for name, held in measurement.models.items():
        facts |= {f"{name}, speedup": float(f"{held.speedup:.4g}"), f"{name}, size_bytes": held.size_bytes}
    return facts


def _check_one(name: str, measured: Speed, accepted: Speed, *, max_size_ratio: float | None) -> Check:
    # Noises are fractions of ratios: logarithms add, and independent ones as the sides of a right angle.
    noise = hypot(log1p(measured.noise), log1p(accepted.noise), log1p(BETWEEN_RUNS_NOISE))
    return Check(
        name=name,
        accepted=accepted,
        measured=measured,
        slowdown=accepted.speedup / measured.speedup,
        most_slowdown=exp(noise),
        size_ratio=measured.size_bytes / accepted.size_bytes,
        most_size_ratio=max_size_ratio,
    )


def _require_one_kind(measured: Mapping[str, Any], accepted: Mapping[str, Any]) -> None:
    differing = [name for name in {**accepted, **measured} if measured.get(name) != accepted.get(name)]
    if differing:
        told = "\n".join(f"{name}: {measured.get(name)}, accepted {accepted.get(name)}." for name in differing)
        raise UnusableData(
            "these speed-ups do not compare: they were measured on different kinds of machines or over different "
            f"models. Keep a baseline file for each.\n{told}"
        )
