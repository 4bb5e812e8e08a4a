"""Progress: a bar on a terminal, elsewhere a line now and then, and none for what is done at once."""

import io
import sys

import pytest

from compress.console import progress as module
from compress.console.progress import progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_done_at_once_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(5), name="photos", unit="photo")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_a_log_gets_whole_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    with progress(name="distill", unit="step", total=4, done=1) as bar:
        for step in range(3):
            bar.set_postfix({"loss": f"{step}"}, refresh=False)
            bar.update()
    written = capsys.readouterr().err
    assert "\r" not in written
    lines = written.splitlines()
    assert all(line.startswith("distill: ") for line in lines)
    assert "2 of 4 steps" in lines[1]
    assert lines[-1].endswith("left, loss=2")
    assert [line.split()[1] for line in lines] == ["1", "2", "3", "4"]


def test_lines_are_as_far_apart_as_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(module._Lines, "monitor_interval", 0)
    with progress(name="distill", unit="step", total=110) as bar:
        bar._time = lambda: now  # pyright: ignore[reportAttributeAccessIssue]
        bar.start_t = bar.last_print_t = 0.0
        for _ in range(100):
            now += 1.0
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["30", "60", "90", "100"]


def test_what_has_no_known_length_is_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.0)
    assert len(list(progress((n for n in range(3)), name="photos", unit="photo"))) == 3
    assert "3photo" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    list(progress(range(3), name="photos", unit="photo"))
    assert "\rphotos: 100%" in terminal.getvalue()
    shown = _Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    list(progress(range(3), name="photos", unit="photo", stays=False))
    assert shown.getvalue().rstrip("\r").endswith(" ")
