"""A phone's JSON: what it must hold, what is refused, and which ratios are computed."""

import json
import os
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ios import report as ios_report
from benchmarks.ios.stage import bench_ios
from benchmarks.ios.table import format_table
from compress.errors import UnusableInput
from compress.strict_json import open_seal

SWIFT = Path(__file__).resolve().parents[3] / "export/coreml/swift/Sources/PocketGenerator"


def unit(name: str, *rounds_ms: float, **more: Any) -> dict[str, Any]:
    ordered = sorted(rounds_ms)
    return {
        "compute_units": name,
        "load_ms": 12,
        "first_prediction_ms": 9.5,
        "rounds_ms": list(rounds_ms),
        "min_ms": ordered[0],
        "median_ms": ordered[1],
        "p95_ms": ordered[-1],
        "mean_squared_difference": 0.09,
        "largest_difference": 2,
        **more,
    }


def report() -> dict[str, Any]:
    """Return the JSON of the Swift package on an iPhone whose GPU cannot be used."""
    planned = {"ios16.conv": {"neural_engine": 20}, "ios16.pad": {"cpu": 2, "neural_engine": 1}}
    return {
        "kit": "pocketgan-ios",
        "schema": 1,
        "started": "2026-11-22T12:00:00Z",
        "model": {
            "name": "student",
            "precision": "fp16",
            "package_sha256": "f00d" * 16,
            "size_bytes": 320_000,
            "height_px": 256,
            "width_px": 256,
        },
        "device": {
            "identifier": "iPhone16,1",
            "system": "iOS",
            "system_version": "Version 18.1 (Build 22B83)",
            "processors": 6,
            "memory_bytes": 8_000_000_000,
            "is_simulator": False,
            "is_debug_build": False,
        },
        "warmup": 5,
        "rounds": 3,
        "predictions_per_turn": 5,
        "compile_ms": 210.5,
        "thermal_states": ["nominal", "nominal", "fair", "fair"],
        "low_power_mode": False,
        "units": [
            unit("cpuOnly", 12, 10, 11),
            {"compute_units": "cpuAndGPU", "error": "no GPU here"},
            unit("cpuAndNeuralEngine", 2, 2.5, 2, planned_operations=planned),
            unit("all", 2, 2, 2, mean_squared_difference=0, largest_difference=0),
        ],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a report, changed by a function, under a name."""

    def to_file(change: Callable[[dict[str, Any]], Any] = lambda raw: None, name: str = "phone.json") -> Path:
        raw = report()
        change(raw)
        (tmp_path / name).write_text(json.dumps(raw))
        return tmp_path / name

    return to_file


def entries(record: dict[str, Any], position: int = 0) -> dict[str, dict[str, Any]]:
    return {each["compute_units"]: each for each in record["reports"][position]["units"]}


def test_ratios_to_the_cpu_are_medians_over_rounds(write) -> None:
    record = bench_ios([write()])
    units = entries(record)
    # 12 / 2, 10 / 2.5, 11 / 2
    assert units["cpuAndNeuralEngine"]["over_cpu"] == {"speedup": 5.5, "range": [4.0, 6.0]}
    assert units["cpuOnly"]["over_cpu"]["speedup"] == 1
    assert units["cpuOnly"]["latency_ms"] == {"min": 10, "median": 11, "p95": 12}
    assert units["cpuAndGPU"] == {"compute_units": "cpuAndGPU", "error": "no GPU here"}
    assert record["reports"][0]["thermal_state"] == "fair"
    assert units["cpuOnly"]["over_baseline"] is None
    # 10 log10(255^2 / 0.09)
    assert units["cpuOnly"]["psnr_db"] == pytest.approx(58.59, abs=0.01)
    assert json.loads(json.dumps(record)) == record


def test_text_shows_every_unit_and_what_left_the_neural_engine(write) -> None:
    text = format_table(bench_ios([write()]))
    lines = text.splitlines()
    assert lines[0].startswith("student: fp16, 320.0 kB, 256x256, on iPhone16,1, iOS Version 18.1")
    assert lines[1].split()[:2] == ["compute", "units"]
    assert "over baseline" not in text
    engine, every = (line for line in lines if line.startswith(("cpuAndNeuralEngine", "all")))
    assert "2.00 ms (2.00, 2.50)" in engine
    assert "5.50x (4.00 - 6.00)" in engine
    assert engine.endswith("21 of 23")
    assert "58.6 dB" in engine
    assert every.split()[-3:] == ["same", "not", "said"]
    assert "note: cpuAndGPU was not measured: no GPU here" in lines
    assert "note: planned off the Neural Engine: 2 ios16.pad (cpu)" in lines


def test_baseline_comes_first_and_gives_ratios_of_medians(write) -> None:
    def slower(raw: dict[str, Any]) -> None:
        raw["model"]["name"] = "teacher"
        raw["units"][2] = unit("cpuAndNeuralEngine", 40, 44, 42)

    base, phone = write(slower, "teacher.json"), write()
    record = bench_ios([phone, base], baseline=Path(os.path.relpath(base)))
    assert [each["model"]["name"] for each in record["reports"]] == ["teacher", "student"]
    units = entries(record, 1)
    assert units["cpuAndNeuralEngine"]["over_baseline"] == {"speedup": 21.0, "range": [40 / 2.5, 44 / 2]}
    assert units["cpuOnly"]["over_baseline"]["speedup"] == 1
    assert record["reports"][1]["not_comparable"] == []
    assert "21.00x (16.00 - 22.00)" in format_table(record)


def put(table: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda raw: raw[table].update({key: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("device", "identifier", "iPhone12,8"), "iPhone12,8, but the baseline's is iPhone16,1"),
        (put("device", "system_version", "26.0"), "system_version 26.0"),
        (put("device", "is_simulator", True), "simulator"),
        (put("device", "is_debug_build", True), "debug build"),
        (put("model", "width_px", 512), "512x256 pixels, but the baseline takes 256x256"),
        (lambda raw: raw.update(thermal_states=["fair", "serious", "fair", "fair"]), "thermal state serious"),
        (lambda raw: raw.update(low_power_mode=True), "low power"),
    ],
    ids=["device", "system", "simulator", "debug", "size", "hot", "low power"],
)
def test_runs_that_do_not_compare_get_no_ratio(write, change, reason: str) -> None:
    base, phone = write(name="base.json"), write(change)
    record = bench_ios([phone], baseline=base)
    assert any(reason in each for each in record["reports"][1]["not_comparable"])
    assert {each.get("over_baseline") for each in record["reports"][1]["units"]} == {None}
    assert f"no ratio to the baseline: {record['reports'][1]['not_comparable'][0]}" in format_table(record)


def test_a_unit_that_computes_something_else_gets_no_ratio(write) -> None:
    # 20 dB: black and white swapped in a hundredth of the pixels. 65.1 is 29.99 dB.
    for error, message in ((650.25, "20.0 dB"), (65.1, "30.0 dB")):
        phone = write(lambda raw, error=error: raw["units"][2].update(mean_squared_difference=error))
        record = bench_ios([phone])
        assert entries(record)["cpuAndNeuralEngine"]["over_cpu"] is None
        assert f"cpuAndNeuralEngine computes something else ({message}" in format_table(record)


def drop(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda raw: raw.pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.update(kit="other"), "no measurement of an iPhone"),
        (lambda raw: raw.update(schema=2), "schema 2, expected 1"),
        (lambda raw: raw.update(schema=True), "schema True, expected 1"),
        (drop("rounds"), "it has no 'rounds'"),
        (lambda raw: raw.update(rounds=0), "its 'rounds' is 0, expected 1 to 1e+06"),
        (lambda raw: raw.update(rounds=True), "its 'rounds' is True, expected an integer"),
        (lambda raw: raw.update(speed=9), "it has an unknown key 'speed'"),
        (lambda raw: raw.update(compile_ms=-1), "its 'compile_ms' is -1"),
        (lambda raw: raw.update(compile_ms=float("nan")), "NaN is no number"),
        (lambda raw: raw.update(thermal_states=["nominal"]), "expected 4 of"),
        (lambda raw: raw.update(thermal_states=["boiling"] * 4), "boiling"),
        (lambda raw: raw["units"].pop(), "its 'units' are"),
        (lambda raw: raw["units"].append("all"), "its 'units[4]' is 'all', expected an object"),
        (put("model", "size_bytes", "320 kB"), "its 'model.size_bytes' is '320 kB', expected an integer"),
        (put("model", "width_px", 0), "its 'model.width_px' is 0"),
        (put("model", "package_sha256", "f00d"), "its 'model.package_sha256' is 'f00d'"),
        (put("device", "owner", "me"), "its 'device' has an unknown key 'owner'"),
        (lambda raw: raw["units"][0].pop("load_ms"), "its unit 'cpuOnly' has no 'load_ms'"),
        (lambda raw: raw["units"][0].update(rounds_ms=[1, 2]), "2 'rounds_ms', expected 3"),
        (lambda raw: raw["units"][0].update(rounds_ms=[1, 2, 0]), "its 'units[0].rounds_ms[2]' is 0"),
        (lambda raw: raw["units"][0].update(largest_difference=256), "its 'units[0].largest_difference' is 256"),
        (lambda raw: raw["units"][0].update(median_ms=1.0), "'median_ms' = 1.0, but its rounds give 11"),
        (lambda raw: raw["units"][2].update(planned_operations={"conv": 3}), "planned_operations.conv' is 3"),
    ],
)
def test_what_the_swift_package_does_not_write_is_refused(write, change, message: str) -> None:
    with pytest.raises(UnusableInput, match=re.escape(message)) as refused:
        ios_report.read_report(write(change))
    assert "phone.json" in str(refused.value)


def test_files_that_are_missing_torn_or_foreign_are_refused(tmp_path: Path, write) -> None:
    torn = write()
    torn.write_text(torn.read_text()[:300])
    listed = tmp_path / "list.json"
    listed.write_text("[]")
    picture = tmp_path / "picture.json"
    picture.write_bytes(b"\x89PNG\xff")
    for path, message in (
        (tmp_path / "no.json", "cannot be read"),
        (torn, "torn"),
        (listed, "no measurement"),
        (picture, "torn"),
    ):
        with pytest.raises(UnusableInput, match=message):
            ios_report.read_report(path)


def test_the_swift_package_writes_the_keys_that_are_read() -> None:
    source = (SWIFT / "BenchmarkReport.swift").read_text(encoding="utf-8")
    # By table, the cases of its CodingKeys: `case name` or `case sizeBytes = "size_bytes"`.
    tables = re.split(r"public struct (\w+)", source)
    written = {
        name: set(re.findall(r'^ +case (?:\w+ = )?"?(\w+)"?$', body, re.MULTILINE))
        for name, body in zip(tables[1::2], tables[2::2], strict=True)
    }

    def names(record: type) -> set[str]:
        return {field.name for field in fields(record)}

    assert written == {
        "BenchmarkReport": {"kit", "schema", *names(ios_report.ReportRecord)},
        "Model": names(ios_report.ModelRecord),
        "Device": names(ios_report.DeviceRecord),
        "Unit": names(ios_report.UnitRecord),
    }
    assert f'kitName = "{ios_report.KIT}"' in source
    assert f"currentSchema = {ios_report.SCHEMA}\n" in source


def test_the_swift_package_names_units_and_thermal_states_as_they_are_read() -> None:
    benchmark = (SWIFT / "Benchmark.swift").read_text(encoding="utf-8")
    assert tuple(re.findall(r'\("(\w+)", \.\w+\)', benchmark)) == ios_report.COMPUTE_UNITS
    device = (SWIFT / "Device.swift").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:case \.\w+|default): return "(\w+)"', device)) == set(ios_report.THERMAL_STATES)


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (3, 3), (19, 19), (20, 19), (21, 20), (30, 29), (100, 95)])
def test_p95_is_that_of_the_swift_package(count: int, rank: int) -> None:
    values = tuple(float(value) for value in range(1, count + 1))
    assert ios_report.p95(values[::-1]) == rank
    assert "(95 * values.count + 99) / 100" in (SWIFT / "Benchmark.swift").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", [("bench", "ios"), ("export", "coreml")], ids=" ".join)
def test_help_says_that_no_device_ran_it(command, line: tuple[str, ...]) -> None:
    help_text = command(*line, "--help").stdout.replace("│", " ")
    assert "Experimental: no device has run it yet." in " ".join(help_text.split())


def test_command_prints_and_writes_and_names_what_is_wrong(command, write, tmp_path: Path) -> None:
    bench = partial(command, "ios", module="benchmarks")
    phone = write()
    finished = bench(phone, "--out", tmp_path / "out.json", "--json")
    assert finished.returncode == 0, finished.stderr
    written = json.loads((tmp_path / "out.json").read_text())
    assert json.loads(finished.stdout) == written
    assert open_seal(written) == bench_ios([phone])
    for arguments, code, message in (
        ((phone, "--out", tmp_path / "out.json"), 2, "--overwrite"),
        ((phone, "--out", phone, "--overwrite"), 2, "is the same as"),
        ((), 2, "no RESULT.json was given"),
        ((tmp_path / "out.json",), 3, "no measurement of an iPhone"),
    ):
        refused = bench(*arguments)
        assert (refused.returncode, refused.stdout) == (code, "")
        assert message in refused.stderr
    assert json.loads(phone.read_text()) == deepcopy(report())
