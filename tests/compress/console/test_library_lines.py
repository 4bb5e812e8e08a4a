"""Lines that libraries write to stderr by themselves: kept in a file, shown with --verbose, and nobody else's."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compress.console.library_lines import LOG_NAME

_NOISY = """
import logging, os, sys
from compress import console
from compress.run.stages import _run_to_end
app = console.new_app("tool", "A tool.")

@app.command
def go(*, child: bool = False) -> None:
    # As C++ writes, past Python.
    os.write(2, b"W0000 native line\\n")
    logging.getLogger("tool").info("a line of ours")
    print("progress", file=sys.stderr)
    if child:
        _run_to_end([sys.executable, "-c", sys.argv[0], "go"])
    print("result")

sys.exit(console.run(app, sys.argv[1:]))
"""


def _run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(folder), **settings}
    return subprocess.run(
        [sys.executable, "-c", _NOISY, "go", *arguments], capture_output=True, text=True, env=environment, check=True
    )


def test_native_lines_go_to_the_log_and_ours_to_stderr(tmp_path: Path) -> None:
    finished = _run(tmp_path)
    assert finished.stderr.splitlines() == ["a line of ours", "progress"]
    assert finished.stdout == "result\n"
    assert (tmp_path / LOG_NAME).read_text() == "W0000 native line\n"


@pytest.mark.parametrize(("arguments", "settings"), [(["--verbose"], {}), ([], {"POCKETGAN_VERBOSE": "1"})])
def test_verbose_shows_them(tmp_path: Path, arguments: list[str], settings: dict[str, str]) -> None:
    finished = _run(tmp_path, *arguments, **settings)
    assert sorted(finished.stderr.splitlines()) == ["W0000 native line", "a line of ours", "progress"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_verbose", [False, True])
def test_stages_of_a_run_do_as_the_run_does(tmp_path: Path, is_verbose: bool) -> None:
    program = _NOISY.replace("sys.argv[0]", repr(_NOISY))
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    line = [sys.executable, "-c", program, "go", "--child", *(["--verbose"] if is_verbose else [])]
    finished = subprocess.run(line, capture_output=True, text=True, env=environment, check=True)
    assert finished.stderr.count("a line of ours\n") == 2
    assert finished.stderr.count("native line") == 2 * is_verbose
    assert finished.stderr.count("result") == is_verbose


def test_a_log_that_cannot_be_is_done_without(tmp_path: Path) -> None:
    (tmp_path / LOG_NAME).mkdir()
    assert "native" not in _run(tmp_path).stderr
    (tmp_path / LOG_NAME).rmdir()
    os.mkfifo(tmp_path / LOG_NAME)
    assert "native" not in _run(tmp_path).stderr
    assert stat.S_ISFIFO((tmp_path / LOG_NAME).stat().st_mode)


def test_a_link_is_not_followed_and_a_long_log_begins_anew(tmp_path: Path) -> None:
    other, log = tmp_path / "mine.txt", tmp_path / LOG_NAME
    other.write_text("mine")
    log.symlink_to(other)
    _run(tmp_path)
    assert other.read_text() == "mine"
    log.unlink()
    log.write_bytes(b"x" * ((1 << 20) + 1))
    _run(tmp_path)
    assert log.read_text() == "W0000 native line\n"


def test_the_process_has_its_stderr_back_afterwards(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = _NOISY.replace("sys.exit(console.run(app, sys.argv[1:]))", "console.run(app, ['go'])")
    program += "\nos.write(2, b'after\\n')\nprint('ours', file=sys.stderr)\n"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)
    assert capfd.readouterr().err.splitlines() == ["a line of ours", "progress", "after", "ours"]
