"""Untrained students, exported and timed against a reference."""

import json
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import open_artifact
from compress.cost import FILE_ERROR, predict_file_bytes
from compress.fleet.budget import latency
from compress.fleet.budget.latency import Latency, export_untrained, time_ratio
from compress.fleet.budget.shape import read_shape
from compress.models.cost import layer_costs
from compress.models.pocket_generator import build_student

SMALL = read_shape("[distill]\nwidth = 8\nblocks = 2\nimage_size_px = 32\n[export]\nio_type = 'uint8'")
OTHER = read_shape("[distill]\nwidth = 12\nblocks = 2\nimage_size_px = 32\n[export]\nio_type = 'uint8'")


def _record(speedup: float, withheld: str | None) -> str:
    entries: list[dict[str, Any]] = [
        {"name": "reference", "speedup": 1.0},
        {"name": "student", "speedup": speedup, "noise": 0.01, "withheld": withheld},
    ]
    return json.dumps({"entries": entries, "machine": {}, "runs": 20})


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that ran, none of them for real: each student is twice as fast as the reference."""
    ran: list[list[str]] = []
    monkeypatch.setattr(latency, "_WATCHED_S", 0.0)

    def run(module: str, arguments: list[str], **_: Any) -> str:
        ran.append(list(arguments))
        return _record(2.0, None)

    monkeypatch.setattr(latency, "run_module", run)
    monkeypatch.setattr(latency, "build_students", lambda shapes, save: [[] for _ in shapes])
    return ran


def _benches(commands: list[list[str]]) -> int:
    return sum(command[0] == "bench" for command in commands)


def test_an_untrained_export_is_as_large_as_predicted(tmp_path: Path) -> None:
    """For real: equal weights would be stored once, and the file be none of a trained student."""
    [artifact] = export_untrained([SMALL], tmp_path)
    written = open_artifact(artifact).manifest.cost.size_bytes
    rows = layer_costs(build_student(SMALL.student))
    predicted = predict_file_bytes(rows, precision=SMALL.precision, io_type=SMALL.io_type)
    assert predicted == pytest.approx(written, rel=FILE_ERROR)


def test_the_ratio_is_time_over_the_references(commands: list[list[str]], tmp_path: Path) -> None:
    assert time_ratio(SMALL, OTHER, tmp_path) == Latency(ratio=0.5, noise=0.01)
    [bench] = [command for command in commands if command[0] == "bench"]
    assert bench[bench.index("--baseline") + 1].endswith("/0")
    assert bench[bench.index("--candidate") + 1].endswith("/1")


def test_a_shape_is_timed_once(commands: list[list[str]], tmp_path: Path) -> None:
    first = time_ratio(SMALL, OTHER, tmp_path)
    assert time_ratio(SMALL, OTHER, tmp_path) == first
    assert _benches(commands) == 1


def test_the_reference_itself_is_not_timed(commands: list[list[str]], tmp_path: Path) -> None:
    assert time_ratio(SMALL, SMALL, tmp_path) == Latency(ratio=1.0, noise=0.0)
    assert commands == []


def test_a_named_reference_is_timed_as_it_is(commands: list[list[str]], tmp_path: Path) -> None:
    time_ratio(SMALL, tmp_path / "mine.tflite", tmp_path)
    [bench] = [command for command in commands if command[0] == "bench"]
    assert bench[bench.index("--baseline") + 1] == str(tmp_path / "mine.tflite")
    assert sum(command[0] == "export" for command in commands) == 1


def test_what_is_too_noisy_is_timed_again_and_not_kept(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    printed = [_record(2.0, "busy")] * 4 + [_record(4.0, None)]
    monkeypatch.setattr(latency, "run_module", lambda module, arguments, **_: _next(printed, arguments))
    assert time_ratio(SMALL, OTHER, tmp_path).withheld == "busy"
    assert len(printed) == 2
    assert time_ratio(SMALL, OTHER, tmp_path) == Latency(ratio=0.25, noise=0.01)


def _next(printed: list[str], arguments: list[str]) -> str:
    return printed.pop(0) if arguments[0] == "bench" else ""
