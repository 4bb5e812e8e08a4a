"""Ends of a command: which line and exit code an error, a signal, a full disk or a closed pipe gives."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cyclopts import App

from compress import console
from compress.errors import GateFailed, ParityError, UnsupportedLayer, UnusableData, UnusableModel, UsageError


def _app_that_raises(error: BaseException) -> App:
    app = console.new_app("tool", "A tool.")

    @app.command
    def go(*, out: Path | None = None) -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateFailed("worse"), 1),
        (UsageError("no flag"), 2),
        (UnusableModel("torn"), 3),
        (UnusableData("no photos"), 3),
        (UnsupportedLayer("GRU"), 4),
        (ParityError("20 dB"), 5),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "out/a.png"), 74),
        (PermissionError(errno.EACCES, "Permission denied", "out"), 74),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "gone"), 74),
        (OSError("a library's own words"), 74),
        (MemoryError(), 74),
        (ValueError("a bug"), 70),
        (KeyError("missing"), 70),
        (RecursionError("deep"), 70),
        (AssertionError(), 70),
    ],
)
def test_every_error_is_a_line_and_a_code_and_never_a_traceback(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(_app_that_raises(error), ["go"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err
    assert 0 < len(said.err.splitlines()) <= 8


def test_only_the_gate_ends_with_1() -> None:
    import compress.errors as errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert [kind for kind in kinds if getattr(kind, "exit_code", None) == 1] == [GateFailed]


def test_an_error_of_the_system_names_the_file_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "out/a.png")
    console.run(_app_that_raises(full), ["go"])
    said = capsys.readouterr().err
    assert "out/a.png: No space left on device. Free some space and run the same command again." in said
    moved = OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b")
    console.run(_app_that_raises(moved), ["go"])
    assert "a to b: Invalid cross-device link." in capsys.readouterr().err


def test_a_bug_says_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.run(_app_that_raises(ValueError("first line\nsecond")), ["go"])
    said = capsys.readouterr().err
    assert "internal error: ValueError: first line\n" in said
    assert "test_exits.py:" in said
    assert "report these lines" in said


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_none_is_refused_by_every_command(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = console.new_app("tool", "A tool.")

    @app.command
    def go(*, rate: float = 0.5) -> None:
        raise AssertionError(rate)

    assert console.run(app, ["go", "--rate", value]) == 2
    assert "rate = " in capsys.readouterr().err


def test_an_output_of_somebody_else_is_not_touched_by_a_command_that_fails(tmp_path: Path) -> None:
    assert console.run(_app_that_raises(UsageError("no")), ["go", "--out", str(tmp_path / "a" / "b")]) == 2
    assert list(tmp_path.iterdir()) == []


_TOOL = """
import sys, time
from pathlib import Path
from compress import console
from compress.files.atomic import atomic_dir

app = console.new_app("tool", "A tool.")

@app.command
def write(*, out: Path) -> None:
    with atomic_dir(out) as scratch:
        (scratch / "half").touch()
        print("writing", flush=True)
        time.sleep(60)

@app.command
def say(text: str, *, times: int = 1) -> None:
    for _ in range(times):
        print(text)

raise SystemExit(console.run(app))
"""


def _tool(*arguments: str | bytes, **options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _TOOL, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_command_and_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    # Where a shell runs the tests in the background Ctrl-C is ignored, under nohup SIGHUP, and children inherit that.
    def heed() -> None:
        signal.signal(number, signal.SIG_DFL)

    with _tool("write", "--out", str(tmp_path / "out"), preexec_fn=heed) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_two_commands_at_one_place_do_not_mix(tmp_path: Path) -> None:
    with _tool("write", "--out", str(tmp_path / "out")) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        with _tool("write", "--out", str(tmp_path / "out")) as second:
            _, said = second.communicate(timeout=30)
            assert second.returncode == 2
        assert f"is being written by process {first.pid}" in said
        assert "--wait" in said
        first.kill()


def test_who_waits_starts_when_the_other_ends(tmp_path: Path) -> None:
    with _tool("write", "--out", str(tmp_path / "out")) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        with _tool("write", "--out", str(tmp_path / "out"), "--wait") as second:
            time.sleep(1)
            assert second.poll() is None
            first.kill()
            first.wait()
            assert second.stdout is not None
            assert second.stdout.readline() == "writing\n"
            second.kill()


def test_a_reader_that_has_seen_enough_gets_no_complaint() -> None:
    with _tool("say", "word", "--times", "100000") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 128 + signal.SIGPIPE


def test_a_terminal_without_a_letter_shows_it_escaped() -> None:
    plain = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with _tool("say", "Zoë", env=plain) as process:
        assert process.communicate(timeout=30) == ("Zo\\xeb\n", "")
    with _tool("say", os.fsdecode(b"caf\xe9")) as process:
        out, err = process.communicate(timeout=30)
    assert (out, err) == ("caf\\udce9\n", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_no_bug_and_gets_into_no_file(tmp_path: Path, closed: str) -> None:
    tool = tmp_path / "tool.py"
    tool.write_text(_TOOL.replace("time.sleep(60)", "print('more', file=sys.stderr)"))
    line = f"{sys.executable} {tool} write --out {tmp_path / 'out'} {closed}"
    assert subprocess.run(["bash", "-c", line], check=False, stdin=subprocess.DEVNULL).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("[!.]*")} == {"half": b""}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_log_on_a_full_disk_changes_no_exit_code() -> None:
    line = f"{sys.executable} -c '{_FAILS}' go 2>/dev/full"
    assert subprocess.run(["bash", "-c", line], check=False).returncode == 3


_FAILS = """
from compress import console
from compress.errors import UnusableModel
app = console.new_app("tool", "A tool.")
@app.command
def go() -> None:
    raise UnusableModel("torn")
raise SystemExit(console.run(app))
"""


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with _tool("write", "--out", str(tmp_path / "out"), preexec_fn=ignore) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM


def test_names_in_log_lines_cannot_move_the_cursor_or_forge_a_line(tmp_path: Path) -> None:
    """Whoever names a photo or a layer does not write to the terminal of who translates it."""
    name = "a\x1b[2Jb\ncompress: all is well\u202e.png"
    program = (
        "import logging, sys; from pathlib import Path; from cyclopts import App; from compress import console;"
        "app = console.new_app('tool', 'A tool.');"
        "log = logging.getLogger('any.module');"
        "app.command(lambda: log.warning('%s is left out, as is %s', Path(sys.argv[1]), 'layer\\x1b]0;x'), name='go');"
        "console.run(app, ['go'])"
    )
    line = [sys.executable, "-P", "-c", program, str(tmp_path / name)]
    said = subprocess.run(line, capture_output=True, text=True, check=True).stderr
    assert said == (f"{tmp_path}/a\\x1b[2Jb\\ncompress: all is well\\u202e.png is left out, as is layer\\x1b]0;x\n")
