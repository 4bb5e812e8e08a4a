"""Timing of the toolkit itself: processes that take turns, ratios to fixed work, and failures."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.toolkit import children, stage, workloads
from benchmarks.toolkit.config import ToolkitConfig
from benchmarks.toolkit.table import format_table
from benchmarks.toolkit.workloads import Suite, Workload, build_suites
from compress.cli import app
from compress.errors import UsageError

Command = Callable[..., subprocess.CompletedProcess[str]]


def program(code: str, *, name: str = "it", **options: Any) -> Workload:
    """A Python program that starts quickly; `sys.argv[1]` is where it may write."""
    return Workload(name=name, command=lambda out: ["-I", "-S", "-c", f"import sys, time; {code}", out], **options)


def telling(name: str, *seconds: float) -> Workload:
    """It tells how long it took, so that no other work touches that; each time the next of `seconds`."""
    left = [*seconds]
    return program("print(2)", name=name, read_seconds=lambda out, printed: float(printed) / 2 * left.pop(0))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Commands that take 20 times as long as their calibrator; 3 % more; 20 % more."""
    suite = Suite(
        calibrator=telling("calibrator", 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.4, 0.4, 0.4),
        workloads=(telling("before", 2, 4, 8), telling("again", 2.06, 4.12, 8.24), telling("slower", 2.4, 4.8, 9.6)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "TURN_S", 0)
        return stage.measure_workloads([suite], tmp_path_factory.mktemp("told"), ToolkitConfig(runs=3))


def test_a_ratio_is_that_of_neighbours_however_fast_the_machine_was_then(told: dict[str, Any]) -> None:
    before, _, slower = told["entries"]
    assert [entry["name"] for entry in told["entries"]] == ["before", "again", "slower"]
    assert {entry["over"] for entry in told["entries"]} == {"calibrator"}
    assert before["speedup"] == pytest.approx(1 / 20)
    assert before["noise"] == pytest.approx(0)
    assert slower["speedup"] == pytest.approx(1 / 24)
    assert slower["speedup_range"] == pytest.approx([1 / 24, 1 / 24])
    assert slower["seconds"] == pytest.approx({"min": 2.4, "median": 4.8, "p95": 9.12, "max": 9.6})
    assert told["calibrators"][0]["seconds"]["median"] == 0.2
    assert told["waiting"] is None or told["waiting"] >= 0


def test_a_command_that_is_20_percent_slower_fails_the_check_and_an_unchanged_one_passes(
    command: Command, told: dict[str, Any], tmp_path: Path
) -> None:
    def write(name: str) -> Path:
        # The tests' machine may be busy, which is no matter here.
        entry = next(entry for entry in told["entries"] if entry["name"] == name) | {"name": "export", "withheld": None}
        path = tmp_path / f"{name}.json"
        record = {"kind": {"benchmark": "toolkit"}, "machine": {}, "runs": 9, "entries": [entry]}
        path.write_text(json.dumps(record))
        return path

    baseline = tmp_path / "baseline.json"
    accepted = command("accept", write("before"), "--out", baseline, module="benchmarks")
    assert accepted.returncode == 0, accepted.stderr
    again = command("check", write("again"), "--baseline", baseline, module="benchmarks")
    assert again.returncode == 0, again.stdout + again.stderr
    slower = command("check", write("slower"), "--baseline", baseline, module="benchmarks")
    assert slower.returncode == 1, slower.stdout + slower.stderr
    assert "regression: export is 20.0% slower" in slower.stderr
    sized = command("check", write("again"), "--baseline", baseline, "--max-size-ratio", 1.02, module="benchmarks")
    assert sized.returncode == 2
    assert "commands, which have no size" in sized.stderr


def test_commands_write_to_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "TURN_S", 0)
    log = tmp_path / "log"
    code = f"import pathlib; pathlib.Path(sys.argv[1]).mkdir(); open({str(log)!r}, 'a').write(%r); time.sleep(0.05)"
    first, second = (program(code % name, name=name) for name in "ab")
    measured = stage.measure_workloads([Suite(calibrator=first, workloads=(second,))], tmp_path, ToolkitConfig(runs=2))
    assert log.read_text() == "abab"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert measured["entries"][0]["seconds"]["min"] >= 0.05


def test_a_command_and_what_it_is_compared_with_mingle_and_get_as_much_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"a": 5.0, "b": 2.0}
    order = []

    def run(arguments: Sequence[object], environment: object) -> children.Finished:
        order.append(str(arguments[0]))
        # The second run of each takes a second longer.
        return children.Finished(seconds=seconds[order[-1]] + (order.count(order[-1]) == 2), waited_s=0, printed="")

    monkeypatch.setattr(children, "run_python", run)
    monkeypatch.setattr(stage, "TURN_S", 6)
    first, second = (Workload(name=name, command=lambda out, name=name: [name]) for name in "ab")
    measured = stage.measure_workloads([Suite(calibrator=first, workloads=(second,))], tmp_path, ToolkitConfig(runs=1))
    assert "".join(order) == "abbab"
    # Medians of 5 and 6 seconds, and of 2, 3 and 2.
    assert measured["entries"][0]["speedup"] == pytest.approx(5.5 / 2)


def test_a_short_turn_is_one_run_of_each(tmp_path: Path) -> None:
    log = tmp_path / "log"
    first, second = (program(f"open({str(log)!r}, 'a').write({name!r})", name=name) for name in "ab")
    config = ToolkitConfig(runs=1, short=True)
    measured = stage.measure_workloads([Suite(calibrator=first, workloads=(second,))], tmp_path, config)
    assert log.read_text() == "ab"
    assert measured["entries"][0]["name"] == "b"


def test_the_short_suite_neither_trains_nor_scores_nor_needs_an_extra(tmp_path: Path) -> None:
    (suite,) = build_suites(tmp_path, short=True)
    assert [one.name for one in suite.workloads] == [
        "compress --help",
        "inspect, .tflite",
        "inspect, teacher",
        "export tflite, student",
        "export tflite, teacher",
    ]
    assert not any(one.needs for one in suite.workloads)


def test_every_command_goes_with_what_it_is_compared_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "TURN_S", 0)
    log = tmp_path / "log"
    a, b, c, d = (program(f"open({str(log)!r}, 'a').write({name!r})", name=name) for name in "abcd")
    wanted = [
        Suite(calibrator=a, workloads=(b, c)),
        Suite(calibrator=d, workloads=()),
        Suite(calibrator=c, workloads=(d,)),
    ]
    measured = stage.measure_workloads(wanted, tmp_path, ToolkitConfig(runs=2))
    assert log.read_text() == "abaccd" + "accdab"
    assert [one["name"] for one in measured["calibrators"]] == ["a", "c"]
    assert [one["over"] for one in measured["entries"]] == ["a", "a", "c"]


def test_what_a_command_wrote_can_be_what_counts(tmp_path: Path) -> None:
    def read(out: Path, printed: str) -> float:
        return float(out.read_text()) * float(printed)

    writer = program("open(sys.argv[1], 'w').write('7'); print(3)", read_seconds=read)
    wanted = [Suite(calibrator=program("print()"), workloads=(writer,))]
    measured = stage.measure_workloads(wanted, tmp_path, ToolkitConfig(runs=1))
    assert measured["entries"][0]["seconds"]["median"] == 21


def test_a_command_that_fails_or_hangs_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 7 after \d+ s:\nwhat is wrong"):
        children.run_python(["-I", "-S", "-c", "import sys; sys.stderr.write('what is wrong'); sys.exit(7)"], {})
    monkeypatch.setattr(children, "TIME_LIMIT_S", 0.3)
    with pytest.raises(RuntimeError, match="ended with -9"):
        children.run_python(["-I", "-S", "-c", "import time; time.sleep(60)"], {})


def test_waiting_for_a_processor_is_read_of_a_process_that_has_ended() -> None:
    spin = [sys.executable, "-I", "-S", "-c", "while True: pass"]
    competitors = [subprocess.Popen(spin) for _ in range(os.cpu_count() or 1)]
    try:
        finished = children.run_python(["-I", "-S", "-c", "for _ in range(3_000_000): pass"], {})
    finally:
        for competitor in competitors:
            competitor.kill()
            competitor.wait()
    if finished.waited_s is None:
        pytest.skip("this system does not tell how long processes wait for a processor")
    assert 0 < finished.waited_s < finished.seconds


def test_every_command_line_is_one_that_the_program_takes(tmp_path: Path) -> None:
    lines = [
        list(map(str, one.command(tmp_path / "out"))) for suite in build_suites(tmp_path) for one in suite.workloads
    ]
    ours = [line[line.index("compress") + 1 :] for line in lines if line[:3] == ["-P", "-m", "compress"]]
    assert len(ours) >= 9
    for line in ours:
        if line != ["--help"]:
            app.parse_args(line, exit_on_error=False, print_error=False)


def test_what_needs_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: Sequence[object], environment: object) -> children.Finished:
        assert "coremltools" not in " ".join(map(str, arguments))
        return children.Finished(seconds=2.0, waited_s=0.1, printed="2.0")

    monkeypatch.setattr(children, "run_python", run)
    monkeypatch.setattr(workloads, "_trainings", lambda inputs: ())
    monkeypatch.setattr(workloads.importlib.util, "find_spec", lambda name: None if name == "coremltools" else object())
    record = stage.bench_toolkit(ToolkitConfig(runs=2))
    assert json.loads(json.dumps(record)) == record
    assert record["skipped"] == {"import coremltools": ["coremltools"], "export coreml, student": ["coremltools"]}
    assert record["kind"]["benchmark"] == "toolkit"
    assert {"cpu", "isa", "python", "packages"} <= record["kind"].keys()
    assert record["waiting"] == pytest.approx(0.05)
    names = [entry["name"] for entry in record["entries"]]
    assert "eval score, 100 images" in names
    assert "import coremltools" not in names
    text = format_table(record)
    assert "import coremltools was skipped: no coremltools." in text
    assert "1 (1 - 1) x a start of Python" in text


def test_the_table_prints_no_ratio_that_is_too_noisy() -> None:
    seconds = {"min": 1.0, "median": 1.234, "p95": 2.0, "max": 2.0}
    entry = {"name": "export", "over": "Python", "seconds": seconds, "speedup": 0.1, "speedup_range": [0.05, 0.2]}
    machine = {"cpu": "A processor", "cores": 2, "load_average": 0.1, "python": "3.11"}
    record = {"machine": machine, "runs": 3, "calibrators": [], "skipped": {}}
    quoted = format_table(record | {"entries": [entry | {"withheld": None}]})
    assert "1.23 (1 - 2)" in quoted
    assert "10 (5 - 20) x Python" in quoted
    noisy = entry | {"withheld": "the ratio may be off by 34%"}
    withheld = format_table(record | {"entries": [noisy, noisy | {"name": "inspect"}]})
    assert "x Python" not in withheld
    assert "no ratio of export; inspect: the ratio may be off by 34%." in withheld


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="runs = 0, expected at least 1"):
        ToolkitConfig(runs=0)
