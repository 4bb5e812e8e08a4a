"""Tables of the measurements of iPhones and Macs, for people."""

from collections.abc import Mapping
from typing import Any

from benchmarks.ios.report import THERMAL_STATES
from benchmarks.ios.stage import FIRST_THROTTLED_STATE, LEAST_PSNR_DB
from compress.text_table import format_columns


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_ios`: a table for each report, with notes."""
    return "\n\n".join(
        _format_report(report, with_baseline=record["baseline"] is not None) for report in record["reports"]
    )


def _format_report(report: Mapping[str, Any], *, with_baseline: bool) -> str:
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
    if THERMAL_STATES.index(report["thermal_state"]) >= FIRST_THROTTLED_STATE:
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
