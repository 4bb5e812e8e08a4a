"""`compress bench ios`: measurements of a phone, with ratios to its CPU and to a baseline model.

Within one report all compute units took turns, so their ratios are medians over rounds. Two reports are two runs: a
ratio between them is one of medians, and there is none where the runs do not compare.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ios.report import THERMAL_STATES, ComputeUnit, Report, read_report

LEAST_PSNR_DB = 30.0
"""Least PSNR of a compute unit's picture to the export's own evaluation; below it the unit computes something else, and
its time says nothing. int8 packages are let through at the same distance from their source (`export.coreml.stage`)."""
FIRST_THROTTLED_STATE = THERMAL_STATES.index("serious")
"""Index of the first state in which iOS slows its processors down (`ProcessInfo.ThermalState.serious`)."""


def bench_ios(results: Sequence[Path], *, baseline: Path | None = None) -> dict[str, Any]:
    """Read reports and compare them.

    Args:
        results: JSON files of the Swift package, at least one.
        baseline: The report to compare the others with.

    Returns:
        JSON-ready: `baseline`, and `reports`, the baseline's first. Each has `path`, `model`, `device`, how it was
        measured, `thermal_state` (the warmest), `not_comparable` (why there are no ratios to the baseline), and
        `units`, each with `latency_ms` (min, median, p95), `load_ms`, `first_prediction_ms`, `psnr_db` (None where the
        picture was not compared or is the same), `largest_difference`, `planned_operations`, `over_cpu` and
        `over_baseline` (None, or `speedup` and its `range`), or an `error`.

    Raises:
        UnusableInput: If a file is no such report.
    """
    base = None if baseline is None else read_report(baseline)
    others = [path for path in results if baseline is None or path.resolve() != baseline.resolve()]
    reports = [*([base] if base else []), *map(read_report, others)]
    return {
        "baseline": None if base is None else str(base.path),
        "reports": [_entry(report, base) for report in reports],
    }


def _entry(report: Report, base: Report | None) -> dict[str, Any]:
    reasons = [] if base is None or base is report else _list_differences(report, base)
    return {
        "path": str(report.path),
        "model": dict(report.model),
        "device": dict(report.device),
        "started": report.started,
        "warmup": report.warmup,
        "rounds": report.rounds,
        "predictions_per_turn": report.predictions_per_turn,
        "compile_ms": report.compile_ms,
        "thermal_state": THERMAL_STATES[_warmest(report)],
        "low_power_mode": report.low_power_mode,
        "not_comparable": reasons,
        "units": [_unit_entry(unit, report, None if reasons else base) for unit in report.units],
    }


def _unit_entry(unit: ComputeUnit, report: Report, base: Report | None) -> dict[str, Any]:
    if unit.error is not None:
        return {"compute_units": unit.name, "error": unit.error}
    counterpart = None if base is None else base.unit(unit.name)
    psnr_db = unit.psnr_db
    return {
        "compute_units": unit.name,
        "latency_ms": unit.latency_ms(),
        "load_ms": unit.load_ms,
        "first_prediction_ms": unit.first_prediction_ms,
        "psnr_db": None if psnr_db is None or math.isinf(psnr_db) else psnr_db,
        "largest_difference": unit.largest_difference,
        "planned_operations": unit.planned_operations,
        "over_cpu": _speedup_over_cpu(report.unit("cpuOnly"), unit),
        "over_baseline": _speedup_over_baseline(counterpart, unit),
    }


def _is_valid(unit: ComputeUnit) -> bool:
    return unit.psnr_db is None or unit.psnr_db >= LEAST_PSNR_DB


def _speedup_over_cpu(cpu: ComputeUnit | None, unit: ComputeUnit) -> dict[str, Any] | None:
    if cpu is None or not (_is_valid(cpu) and _is_valid(unit)):
        return None
    ratios = [slow / fast for slow, fast in zip(cpu.rounds_ms, unit.rounds_ms, strict=True)]
    return {"speedup": median(ratios), "range": [min(ratios), max(ratios)]}


def _speedup_over_baseline(base: ComputeUnit | None, unit: ComputeUnit) -> dict[str, Any] | None:
    if base is None or not (_is_valid(base) and _is_valid(unit)):
        return None
    theirs, ours = base.latency_ms(), unit.latency_ms()
    return {
        "speedup": theirs["median"] / ours["median"],
        "range": [theirs["min"] / ours["p95"], theirs["p95"] / ours["min"]],
    }


def _warmest(report: Report) -> int:
    return max(THERMAL_STATES.index(state) for state in report.thermal_states)


def _list_differences(report: Report, base: Report) -> list[str]:
    reasons = []
    for key in ("identifier", "system", "system_version"):
        if report.device[key] != base.device[key]:
            reasons.append(f"{key} {report.device[key]}, but the baseline's is {base.device[key]}")
    for each, name in ((base, "the baseline"), (report, "this one")):
        if each.device["is_simulator"]:
            reasons.append(f"{name} ran in the simulator")
        if _warmest(each) >= FIRST_THROTTLED_STATE:
            reasons.append(f"the device of {name} was in the thermal state {THERMAL_STATES[_warmest(each)]}")
        if each.low_power_mode:
            reasons.append(f"{name} ran in low power mode")
        if each.device["is_debug_build"]:
            reasons.append(f"{name} is a debug build")
    sizes = [(each.model["height_px"], each.model["width_px"]) for each in (report, base)]
    if sizes[0] != sizes[1]:
        ours, theirs = (f"{width}x{height}" for height, width in sizes)
        reasons.append(f"{ours} pixels, but the baseline takes {theirs}")
    return reasons
