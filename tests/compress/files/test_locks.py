"""Locks: two processes never hold one place, and a dead owner's lock is no lock."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compress.files.locks import Busy, locked, wait_for_others

_HOLD = """
import sys
from pathlib import Path
from compress.files.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def _held_elsewhere(out: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", _HOLD, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    yield
    wait_for_others(False)


def test_a_place_that_another_process_holds_is_refused_with_its_owner(tmp_path: Path) -> None:
    out = tmp_path / "student"
    with (
        _held_elsewhere(out) as process,
        pytest.raises(Busy, match=rf"student is being written by process {process.pid}") as caught,
        locked(out),
    ):
        pass
    assert "--wait" in str(caught.value)
    assert " s (" in str(caught.value)


def test_who_waits_gets_the_place_when_its_owner_ends(tmp_path: Path) -> None:
    out = tmp_path / "student"
    wait_for_others(True)
    with _held_elsewhere(out) as process:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        with locked(out):
            assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    out = tmp_path / "student"
    with _held_elsewhere(out) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert (tmp_path / ".student.lock").exists()
    with locked(out):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_process_may_hold_a_place_twice(tmp_path: Path) -> None:
    out = tmp_path / "student"
    with locked(out):
        with locked(out):
            pass
        assert (tmp_path / ".student.lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_place_in_a_folder_that_does_not_exist_leaves_no_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b" / "student"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_folders_that_something_came_of_stay(tmp_path: Path) -> None:
    with locked(tmp_path / "a" / "b" / "student"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]


def test_many_processes_take_turns(tmp_path: Path) -> None:
    out, log = tmp_path / "student", tmp_path / "log"
    script = """
import sys, time
from pathlib import Path
from compress.files.locks import locked, wait_for_others
wait_for_others(True)
with locked(Path(sys.argv[1])):
    with open(sys.argv[2], "a") as log:
        log.write("in ")
        log.flush()
        time.sleep(0.05)
        log.write("out ")
"""
    running = [subprocess.Popen([sys.executable, "-c", script, str(out), str(log)]) for _ in range(5)]
    deadline = time.monotonic() + 60
    assert [process.wait(timeout=deadline - time.monotonic()) for process in running] == [0] * 5
    assert log.read_text() == "in out " * 5
