"""Peak memory of one model, measured in a child process."""

import sys
from pathlib import Path

import pytest

from benchmarks import memory
from benchmarks.memory import peak_memory_bytes
from compress.errors import UnusableModel


def test_a_model_holds_at_least_its_weights(models: Path) -> None:
    assert peak_memory_bytes(models / "wide.tflite", threads=1) > (models / "wide.tflite").stat().st_size


def test_the_size_of_the_measuring_process_does_not_count(models: Path) -> None:
    ballast = bytearray(200_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert peak_memory_bytes(models / "narrow.tflite", threads=1) < 50_000_000
    assert len(ballast) == 200_000_000


@pytest.mark.parametrize("content", [b"", b"text", "first half"], ids=["empty", "text", "first half"])
def test_what_litert_refuses_is_unusable(models: Path, tmp_path: Path, content: bytes | str) -> None:
    whole = (models / "narrow.tflite").read_bytes()
    (tmp_path / "torn.tflite").write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(UnusableModel, match=r"torn\.tflite cannot be run: \S+"):
        peak_memory_bytes(tmp_path / "torn.tflite", threads=1)


def test_a_file_that_kills_the_reader_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -SEGV $$\n")
    killed.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(UnusableModel, match=r"LiteRT died of it \(exit code -11\)"):
        peak_memory_bytes(tmp_path / "any.tflite", threads=1)


def test_a_file_that_never_ends_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "python"
    endless.write_text("#!/bin/sh\nexec sleep 60\n")
    endless.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(endless))
    monkeypatch.setattr(memory, "TIME_LIMIT_S", 0.2)
    with pytest.raises(UnusableModel, match="did not run 3 times within"):
        peak_memory_bytes(tmp_path / "any.tflite", threads=1)
