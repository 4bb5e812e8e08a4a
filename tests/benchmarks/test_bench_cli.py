"""`compress bench` as a user runs it: its commands, and `bench host`."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks.host.table import format_speedup, format_table

Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def bench(command: Bench) -> Bench:
    return partial(command, "host", module="benchmarks")


def test_json_goes_to_stdout_and_to_the_file(bench: Bench, models: Path, tmp_path: Path) -> None:
    pair = ("--baseline", models / "wide.tflite", "--candidate", models / "narrow.tflite")
    finished = bench(*pair, "--runs", 2, "--out", tmp_path / "bench.json", "--json")
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert json.loads((tmp_path / "bench.json").read_text()) == record
    again = bench(*pair, "--out", tmp_path / "bench.json")
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("--baseline", "missing.tflite", "--candidate", "missing.tflite"), 3, "missing.tflite does not exist"),
        (("--baseline", __file__, "--candidate", __file__), 3, "it is no .tflite file"),
        (("--baseline", "a", "--candidate", "b", "--loops", "3"), 2, "--loops"),
        (("--baseline", "a"), 2, "--candidate"),
        (("--baseline", "a", "--candidate", "b", "--threads", "0"), 2, "threads = 0"),
    ],
    ids=["missing file", "no model", "unknown flag", "no candidate", "no threads"],
)
def test_faults_end_with_their_exit_code_and_a_line(
    bench: Bench, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    finished = bench(*arguments)
    assert finished.returncode == exit_code
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_help_lists_what_users_run_and_neither_stages_nor_developers_scripts(command: Bench) -> None:
    text = command("bench", "--help").stdout
    listed = re.findall(r"^│ (\w[\w-]*)", text, re.MULTILINE)
    assert listed == ["accept", "android", "browser", "check", "host", "ios", "published"]
    trained = command("bench", "train-peer", "--help")
    assert (trained.returncode, "--like" in trained.stdout) == (0, True)


def test_help_groups_the_flags_of_both_published_comparisons(command: Bench) -> None:
    text = command("bench", "published", "--help").stdout
    shared, students, shapes = re.split(r"─ With (?:--shapes|students) ─", text)
    assert all(flag in shared for flag in ("--teacher", "--image-size-px", "--runs", "--out"))
    assert all(flag in shapes for flag in ("--shapes", "--sweep-size-px", "--overwrite"))
    assert all(flag in students for flag in ("--data", "--peer", "--reference"))


def test_help_loads_no_runtime() -> None:
    heavy = "{'ai_edge_litert', 'tensorflow', 'keras', 'torch', 'coremltools', 'numpy'}"
    code = f"import sys; from benchmarks.cli import app; app(['host', '--help']); print({heavy} & set(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--baseline" in finished.stdout
    assert finished.stdout.splitlines()[-1] == "set()"


def test_table_shows_the_measurements_in_columns() -> None:
    entry = {
        "threads": 1,
        "size_bytes": 45_600_000,
        "latency_ms": {"min": 700.0, "median": 715.0, "max": 730.0},
        "speedup": 1.0,
        "speedup_range": [1.0, 1.0],
        "gmacs_per_s": 69.41,
        "share_of_peak": 0.9,
        "withheld": None,
        "load_ms": 4.25,
        "first_inference_ms": 731.0,
        "peak_memory_bytes": 264_000_000,
        "ops_total": 359,
        "ops_delegated": 340,
        "partitions": 20,
    }
    machine = {"cpu": "A processor", "cores": 2, "load_average": 0.1, "litert": "2.3.0"}
    record = {
        "machine": machine,
        "runs": 30,
        "peak_gmacs_per_s": {"fp32": 77.1, "int8": 300.0},
        "entries": [entry | {"name": "t"}, entry | {"name": "long name", "threads": 2}],
    }
    head, first, second, foot, peak = format_table(record).splitlines()
    assert first.index("45600.0 kB") == second.index("45600.0 kB") == head.index("size")
    assert "715.00 ms (700.00 - 730.00)" in first
    assert "340 of 359" in first
    assert "4.2 + 731.0 ms" in first
    assert "69.4 (90%)" in first
    assert peak == "peak of 1x1 convolutions in the same rounds: 77 GMAC/s in fp32, 300 GMAC/s in int8"
    assert foot == "30 interleaved rounds, 1 and 2 thread(s), A processor (2 cores, load 0.1), LiteRT 2.3.0"


def test_table_prints_no_speedup_that_is_too_noisy_and_says_why() -> None:
    entry = {"size_bytes": 1000, "latency_ms": {"min": 1.0, "median": 1.0, "max": 1.0}, "peak_memory_bytes": 1}
    entry |= {"load_ms": 1.0, "first_inference_ms": 1.0}
    entry |= {"speedup": 157.0, "speedup_range": [44.0, 263.0], "ops_total": 1, "ops_delegated": 1, "partitions": 1}
    entry |= {"threads": 1, "gmacs_per_s": 1.0, "share_of_peak": 0.5}
    machine = {"cpu": "A processor", "cores": 2, "load_average": 5.8, "litert": "2.3.0"}
    entries = [entry | {"name": "teacher", "speedup": 1.0, "withheld": None}]
    entries += [entry | {"name": name, "withheld": "the ratio may be off by 34%"} for name in ("student", "other")]
    text = format_table({"machine": machine, "runs": 30, "entries": entries, "peak_gmacs_per_s": {"fp32": 2.0}})
    assert "157" not in text
    assert "no speed-up of student, other: the ratio may be off by 34%." in text


@pytest.mark.parametrize("noise", [0.0, None], ids=["several rounds", "one round"])
def test_the_baseline_is_as_fast_as_itself_without_an_interval(noise: float | None) -> None:
    assert format_speedup({"speedup": 1.0, "noise": noise, "withheld": None}) == "1x"
