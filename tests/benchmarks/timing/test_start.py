"""A model's cold start, measured in child processes."""

import sys
from pathlib import Path

import pytest

from benchmarks.timing import start
from benchmarks.timing.start import Start, measure_start, start_once
from compress.errors import UnusableModel


def test_a_model_holds_at_least_its_weights(models: Path) -> None:
    assert start_once(models / "wide.tflite", threads=1).peak_memory_bytes > (models / "wide.tflite").stat().st_size


def test_the_size_of_the_measuring_process_does_not_count(models: Path) -> None:
    ballast = bytearray(200_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert start_once(models / "narrow.tflite", threads=1).peak_memory_bytes < 50_000_000
    assert len(ballast) == 200_000_000


def test_a_large_model_takes_longer_to_run_first(models: Path) -> None:
    wide, narrow = (start_once(models / f"{name}.tflite", threads=1) for name in ("wide", "narrow"))
    # 1.4 GMACs against 0.3 MMACs, and no start without loading.
    assert wide.first_inference_ms > narrow.first_inference_ms > 0
    assert min(wide.load_ms, narrow.load_ms) > 0


def test_the_median_of_several_processes_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = iter([Start(5.0, 90.0, 3), Start(7.0, 1.0, 9), Start(30.0, 2.0, 4)])
    monkeypatch.setattr(start, "start_once", lambda model, threads: next(starts))
    assert measure_start(Path("any.tflite"), threads=1) == Start(7.0, 2.0, 4)


@pytest.mark.parametrize("content", [b"", b"text", "first half"], ids=["empty", "text", "first half"])
def test_what_litert_refuses_is_unusable(models: Path, tmp_path: Path, content: bytes | str) -> None:
    whole = (models / "narrow.tflite").read_bytes()
    (tmp_path / "torn.tflite").write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(UnusableModel, match=r"torn\.tflite cannot be run: \S+"):
        start_once(tmp_path / "torn.tflite", threads=1)


def _stand_in_for_python(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_a_file_that_kills_the_reader_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in_for_python("kill -SEGV $$", tmp_path, monkeypatch)
    with pytest.raises(UnusableModel, match=r"LiteRT died of it \(exit code -11\)"):
        start_once(tmp_path / "any.tflite", threads=1)


def test_a_file_that_never_ends_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in_for_python("exec sleep 60", tmp_path, monkeypatch)
    monkeypatch.setattr(start, "TIME_LIMIT_S", 0.2)
    with pytest.raises(UnusableModel, match="did not run 3 times within"):
        start_once(tmp_path / "any.tflite", threads=1)
