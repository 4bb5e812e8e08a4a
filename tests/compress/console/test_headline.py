"""The line above a result: coloured on a terminal alone, and fit to print."""

import io

import pytest

from compress import console
from compress.console.headline import EFFECT_TONES, Headline


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colour_and_a_file_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    headline = Headline(text="does almost nothing", tone="alarm")
    assert headline.paint(io.StringIO()) == "does almost nothing"
    assert headline.paint(Terminal()) == "\x1b[1;31mdoes almost nothing\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert headline.paint(Terminal()) == "does almost nothing"


def test_a_name_in_it_cannot_command_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    painted = Headline(text="a\x1b[2Jb\nc", tone="good").paint(Terminal())
    assert painted == "\x1b[1;32ma\\x1b[2Jb\\nc\x1b[0m"


def test_it_comes_first_and_not_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    headline = Headline(text="works", tone=EFFECT_TONES["works"])
    console.show({"a": 1}, as_json=False, headline=headline)
    assert capsys.readouterr().out == "works\na: 1\n"
    console.show({"a": 1}, as_json=True, headline=headline)
    assert capsys.readouterr().out == '{\n  "a": 1\n}\n'
