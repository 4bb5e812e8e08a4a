"""Limits of the process that reads a stranger's file: set by itself, kept by the system; special files are not read."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from compress import teachers
from compress.errors import UnsupportedLayer, UnusableModel
from compress.teachers import memory, sandbox

_READ = """
import os, sys, time
from compress.console.parent import die_with_parent
from compress.teachers import limits
die_with_parent(os.getppid())
limits.READING_S = 1
limits.limit_reading(1000)
"""


def _run(body: str, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", _READ + body, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@pytest.mark.parametrize(
    ("body", "ended_by"),
    [
        ("while True: pass", {signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM}),
        ("time.sleep(1000)", {signal.SIGALRM}),
        # C code that does not come back to Python, where no handler of Python's can run.
        ("sum(range(1 << 60))", {signal.SIGXCPU, signal.SIGKILL}),
        ("os.read(os.pipe()[0], 1)", {signal.SIGALRM}),
    ],
    ids=["a loop", "asleep", "a loop in C", "an empty pipe"],
)
def test_a_parser_that_never_returns_is_ended(body: str, ended_by: set[signal.Signals]) -> None:
    assert -_run(body).returncode in ended_by


def test_memory_is_limited_to_what_the_file_can_need() -> None:
    finished = _run("blocks = [bytes(64 << 20) for _ in range(64)]")
    assert finished.returncode == 1
    assert "MemoryError" in finished.stderr


def test_a_reader_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    reader = (
        _READ.replace("READING_S = 1", "READING_S = 100")
        + f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(100)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-P', '-c', {reader!r}])"]
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    number = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while _is_running(number):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _pipe_in(folder: Path, name: str) -> Path:
    os.mkfifo(folder / name)
    return folder / name


@pytest.mark.parametrize("name", ["pipe.h5", "pipe.keras", "pipe.pth"])
def test_a_pipe_is_refused_unread(tmp_path: Path, name: str) -> None:
    started = time.monotonic()
    with pytest.raises(UnusableModel, match="no file but a pipe"):
        teachers.describe(_pipe_in(tmp_path, name))
    assert time.monotonic() - started < 20


def test_a_pipe_within_a_saved_model_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"")
    _pipe_in(tmp_path / "variables", "variables.index")
    with pytest.raises(UnusableModel, match=r"variables\.index is no file but a pipe"):
        teachers.describe(tmp_path)


def test_a_device_is_refused_unread() -> None:
    with pytest.raises(UnusableModel, match="no file but a pipe, a device"):
        teachers.describe(Path("/dev/zero"))


_STAND_IN = """
import sys
from compress.console.parent import die_with_parent
die_with_parent(int(sys.argv[1]))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a module that stands in for a reader, and runs it as the sandbox runs one."""

    def run(body: str, arguments: Sequence[str] = ()) -> None:
        (tmp_path / "stand_in_reader.py").write_text(_STAND_IN + body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        sandbox.run_in_child("stand_in_reader", *arguments, path=Path("model.h5"))

    return run


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGALRM)", "not done after 20 s"),
        ("raise SystemExit(9)", "ended with code 9"),
        (r"print('\x1b[2J it is torn', file=sys.stderr); raise SystemExit(3)", r"\\x1b\[2J it is torn"),
    ],
    ids=["a crash", "no end", "an unknown code", "a terminal's command"],
)
def test_how_a_reader_ends_becomes_one_line_of_the_file(stand_in, body: str, words: str) -> None:
    with pytest.raises(UnusableModel, match=f"model.h5.*{words}") as caught:
        stand_in(body)
    assert str(caught.value).isprintable()


def test_a_layer_that_no_student_has_keeps_its_own_exit_code(stand_in) -> None:
    with pytest.raises(UnsupportedLayer, match="odd layer"):
        stand_in("print('odd layer', file=sys.stderr); raise SystemExit(4)")


def test_a_full_temporary_folder_is_no_fault_of_the_file(stand_in) -> None:
    with pytest.raises(OSError, match="No space left"):
        stand_in("print(28, file=sys.stderr); raise SystemExit(74)")


def test_memory_of_a_chain_is_that_of_its_two_largest_neighbours() -> None:
    sizes = {"image": 1, "a": 10, "b": 20, "c": 5, "out": 1}
    steps = [(("image",), ("a",)), (("a",), ("b",)), (("b",), ("c",)), (("c",), ("out",))]
    assert memory.peak_live_bytes(steps, sizes.__getitem__, kept=("image", "out")) == 1 + 10 + 20


def test_memory_of_a_skip_connection_is_held_until_it_is_read() -> None:
    sizes = {"image": 1, "a": 10, "b": 20, "c": 20, "out": 1}
    steps = [(("image",), ("a",)), (("a",), ("b",)), (("b",), ("c",)), (("a", "c"), ("out",))]
    assert memory.peak_live_bytes(steps, sizes.__getitem__, kept=("image", "out")) == 1 + 10 + 20 + 20


def test_a_net_that_needs_more_than_the_machine_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    with pytest.raises(UnusableModel, match=r"this machine has 0\.0 GB"):
        memory.require_memory(2000, 64)
