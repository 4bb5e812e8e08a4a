"""`compress bench ios`: what a phone measured, as a table, with ratios to its CPU and to a baseline model.

Within one report all compute units took turns, so their ratios are medians over rounds. Two reports are two runs: a
ratio between them is one of medians, and there is none where the runs do not compare.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.ios.report import THERMAL_STATES, Report, Unit, read
from compress.text_table import format_columns

LEAST_PSNR_DB = 30.0
"""A compute unit whose picture is further from the export's own evaluation computes something else, and its time says
nothing. int8 packages are let through at the same distance from their source (`export.coreml.stage`)."""
_WARM = THERMAL_STATES.index("serious")
"""From here on iOS slows its processors down (`ProcessInfo.ThermalState.serious`)."""


def bench_ios(results: Sequence[Path], *, baseline: Path | None = None) -> dict[str, Any]:
    """Read reports and compare them.

    Args:
        results: JSON files of the Swift package, at least one.
        baseline: The one to compare the others with.

    Returns:
        JSON-ready: `baseline`, and `reports`, the baseline's first. Each has `path`, `model`, `device`, how it was
        measured, `thermal_state` (the warmest), `not_comparable` (why there are no ratios to the baseline), and
        `units`, each with `latency_ms` (min, median, p95), `load_ms`, `first_prediction_ms`, `psnr_db` (None where the
        picture was not compared or is the same), `largest_difference`, `planned_operations`, `over_cpu` and
        `over_baseline` (None, or `speedup` and its `range`), or an `error`.

    Raises:
        UnusableInput: If a file is none that this reads.
    """
    base = None if baseline is None else read(baseline)
    others = [path for path in results if baseline is None or path.resolve() != baseline.resolve()]
    reports = [*([base] if base else []), *map(read, others)]
    return {
        "baseline": None if base is None else str(base.path),
        "reports": [_entry(report, base) for report in reports],
    }


def _entry(report: Report, base: Report | None) -> dict[str, Any]:
    reasons = [] if base is None or base is report else _why_not_comparable(report, base)
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


def _unit_entry(unit: Unit, report: Report, base: Report | None) -> dict[str, Any]:
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
        "over_cpu": _within(report.unit("cpuOnly"), unit),
        "over_baseline": _between(counterpart, unit),
    }


def _does_its_work(unit: Unit) -> bool:
    return unit.psnr_db is None or unit.psnr_db >= LEAST_PSNR_DB


def _within(cpu: Unit | None, unit: Unit) -> dict[str, Any] | None:
    if cpu is None or not (_does_its_work(cpu) and _does_its_work(unit)):
        return None
    ratios = [slow / fast for slow, fast in zip(cpu.rounds_ms, unit.rounds_ms, strict=True)]
    return {"speedup": median(ratios), "range": [min(ratios), max(ratios)]}


def _between(base: Unit | None, unit: Unit) -> dict[str, Any] | None:
    if base is None or not (_does_its_work(base) and _does_its_work(unit)):
        return None
    theirs, ours = base.latency_ms(), unit.latency_ms()
    return {
        "speedup": theirs["median"] / ours["median"],
        "range": [theirs["min"] / ours["p95"], theirs["p95"] / ours["min"]],
    }


def _warmest(report: Report) -> int:
    return max(THERMAL_STATES.index(state) for state in report.thermal_states)


def _why_not_comparable(report: Report, base: Report) -> list[str]:
    reasons = []
    for key in ("identifier", "system", "system_version"):
        if report.device[key] != base.device[key]:
            reasons.append(f"{key} {report.device[key]}, but the baseline's is {base.device[key]}")
    for each, name in ((base, "the baseline"), (report, "this one")):
        if each.device["is_simulator"]:
            reasons.append(f"{name} ran in the simulator")
        if _warmest(each) >= _WARM:
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


def format_table(record: Mapping[str, Any]) -> str:
    """What people read: a table for each report, and what to know of it."""
    return "\n\n".join(_describe(report, with_baseline=record["baseline"] is not None) for report in record["reports"])


def _describe(report: Mapping[str, Any], *, with_baseline: bool) -> str:
    model, device = report["model"], report["device"]
    head = ("compute units", "latency (min, p95)", "over CPU (range)")
    over_baseline = ("over baseline (range)",) if with_baseline else ()
    rows = [(*head, *over_baseline, "load", "first", "picture", "planned on Neural Engine")]
    rows += [_row(unit, with_baseline=with_baseline) for unit in report["units"] if "error" not in unit]
    lines = [
        f"{model['name']}: {model['precision']}, {model['size_bytes'] / 1e3:.1f} kB, "
        f"{model['width_px']}x{model['height_px']}, on {device['identifier']}, {device['system']} "
        f"{device['system_version']}",
        *format_columns(rows),
        f"{report['rounds']} interleaved rounds of {report['predictions_per_turn']} predictions, thermal state "
        f"{report['thermal_state']}, compiled in {report['compile_ms']:.0f} ms, {report['started']}",
    ]
    return "\n".join([*lines, *(f"note: {note}" for note in _notes(report))])


def _row(unit: Mapping[str, Any], *, with_baseline: bool) -> tuple[str, ...]:
    latency = unit["latency_ms"]
    return (
        unit["compute_units"],
        f"{latency['median']:.2f} ms ({latency['min']:.2f}, {latency['p95']:.2f})",
        _ratio(unit["over_cpu"]),
        *([_ratio(unit["over_baseline"])] if with_baseline else []),
        f"{unit['load_ms']:.0f} ms",
        f"{unit['first_prediction_ms']:.1f} ms",
        _picture(unit),
        _planned(unit["planned_operations"]),
    )


def _ratio(over: Mapping[str, Any] | None) -> str:
    return "-" if over is None else f"{over['speedup']:.2f}x ({over['range'][0]:.2f} - {over['range'][1]:.2f})"


def _picture(unit: Mapping[str, Any]) -> str:
    if unit["psnr_db"] is not None:
        return f"{unit['psnr_db']:.1f} dB"
    return "not compared" if unit["largest_difference"] is None else "same"


def _planned(operations: Mapping[str, Mapping[str, int]] | None) -> str:
    if operations is None:
        return "not said"
    total = sum(sum(devices.values()) for devices in operations.values())
    return f"{sum(devices.get('neural_engine', 0) for devices in operations.values())} of {total}"


def _notes(report: Mapping[str, Any]) -> list[str]:
    notes = [f"no ratio to the baseline: {reason}" for reason in report["not_comparable"]]
    if report["device"]["is_simulator"]:
        notes.append("a simulator's times are the Mac's, not a phone's")
    if report["device"]["is_debug_build"]:
        notes.append("a debug build; measure in Release")
    if report["low_power_mode"]:
        notes.append("low power mode was on")
    if THERMAL_STATES.index(report["thermal_state"]) >= _WARM:
        notes.append("the device got so warm that it slows down; let it cool and measure again")
    for unit in report["units"]:
        if "error" in unit:
            notes.append(f"{unit['compute_units']} was not measured: {unit['error']}")
        elif unit["psnr_db"] is not None and unit["psnr_db"] < LEAST_PSNR_DB:
            notes.append(
                f"{unit['compute_units']} computes something else ({unit['psnr_db']:.1f} dB from the export's own "
                f"evaluation, expected at least {LEAST_PSNR_DB:.0f}): no ratio"
            )
        elif unit["compute_units"] == "cpuAndNeuralEngine":
            notes += _left_behind(unit["planned_operations"])
    return notes


def _left_behind(operations: Mapping[str, Mapping[str, int]] | None) -> list[str]:
    elsewhere = [
        f"{count} {operator} ({device})"
        for operator, devices in (operations or {}).items()
        for device, count in devices.items()
        if device != "neural_engine"
    ]
    return [f"planned off the Neural Engine: {', '.join(elsewhere)}"] if elsewhere else []
