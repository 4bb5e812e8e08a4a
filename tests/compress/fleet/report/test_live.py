"""The table of a sweep on the terminal, and in a log."""

import io
import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.distill.config import HISTORY
from compress.distill.watch.history import History, Point
from compress.files.atomic import replace_text
from compress.files.training_folder import place_of_training
from compress.fleet.report.live import LiveTable
from compress.fleet.report.progress import read_progress
from compress.fleet.trial import run_folder, trial_folder
from compress.training.kid import Kid


class _Terminal(io.StringIO):
    """A terminal of 80 columns; `screen` is what is on it."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        lines: list[str] = []
        for part in re.split(r"(\x1b\[1A\x1b\[2K|\n)", self.getvalue()):
            if part == "\n":
                continue
            if part.startswith("\x1b"):
                lines.pop()
            elif part:
                lines.append(part)
        return lines


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _train(sweep: Path, number: int, *, seconds: float, step: int | None = None) -> None:
    """Write what a worker leaves of a trial in training."""
    key = f"{number:012x}"
    replace_text(trial_folder(sweep, key) / "attempt.json", json.dumps({"node": "127.0.0.2", "seconds": seconds}))
    if step is not None:
        kid = Kid(mean=0.0712, spread=0.004, metric="kid_efficientnet_lite0", network="efficientnet-lite0")
        point = Point(step=step, held_back_psnr_db=20.0, weights="raw", kid=kid)
        work = place_of_training(run_folder(sweep, key) / "student")
        work.mkdir(parents=True)
        History((point,), "real").write(work / HISTORY)


@pytest.fixture
def sweep(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> Path:
    """Two trials ended, one in training, one waiting."""
    folder = write_sweep(
        [ended(0, kid=0.06), ended(1, "failed", reason="no such photo"), ended(2, None), ended(3, None)]
    )
    _train(folder, 2, seconds=20.0, step=400)
    return folder


def test_progress_is_read_from_the_folder(sweep: Path) -> None:
    progress = read_progress(sweep, total=6)
    assert [trial.number for trial, _ in progress.ended] == [0, 1]
    [running] = progress.running
    assert (running.trial.number, running.seconds, running.step, running.kid) == (2, 20.0, 400, 0.0712)
    assert progress.waiting == 3


def test_time_left_is_what_ended_trials_took(sweep: Path) -> None:
    """One took 60 s: 40 s of the one in training and three more, two at a time."""
    assert read_progress(sweep, total=6).seconds_left(2) == (40 + 3 * 60) / 2


def test_nobody_guesses_before_a_trial_has_ended(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> None:
    assert read_progress(write_sweep([ended(0, None)]), total=1).seconds_left(1) is None


def test_a_trial_without_a_sign_of_life_waits(sweep: Path) -> None:
    sign = trial_folder(sweep, f"{2:012x}") / "attempt.json"
    os.utime(sign, (0, 0))
    assert read_progress(sweep, total=4).running == []
    sign.write_text("{torn", encoding="utf-8")
    assert read_progress(sweep, total=4).running == []


def test_a_terminal_shows_one_table(sweep: Path, ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> None:
    terminal, clock = _Terminal(), _Clock()
    with LiveTable(sweep, total=4, slots=1, stream=terminal, clock=clock) as table:
        table.look()
        assert terminal.screen[0].startswith(
            "2 of 4 trials have ended (1 finished, 1 failed), 1 in training, about 2 min"
        )
        assert [line.split()[:3] for line in terminal.screen[2:]] == [
            ["2", "24", "at"],
            ["0", "8", "finished"],
            ["1", "16", "failed"],
        ]
        clock.now = 100.0
        write_sweep([ended(0, kid=0.06), ended(1, "failed"), ended(2, kid=0.05), ended(3, None)])
        table.look()
    assert [line.split()[0] for line in terminal.screen[2:]] == ["2", "0", "1"]
    assert sum("trials have ended" in line for line in terminal.screen) == 1


def test_log_messages_stay_above_the_table(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, clock = _Terminal(), _Clock()
    handler = logging.StreamHandler(terminal)
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with LiveTable(sweep, total=4, slots=1, stream=terminal, clock=clock) as table:
        table.look()
        logging.getLogger("compress.test").warning("trial 2 lost its worker")
        clock.now = 100.0
        table.look()
    assert terminal.screen[0] == "trial 2 lost its worker"
    assert sum("trials have ended" in line for line in terminal.screen) == 1
    assert handler.stream is terminal


def test_a_long_table_keeps_to_the_terminal(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> None:
    terminal = _Terminal()
    with LiveTable(write_sweep([ended(number) for number in range(60)]), total=60, slots=1, stream=terminal) as table:
        table.look()
    assert len(terminal.screen) < 24
    assert terminal.screen[-1] == "… and 40 more"
    assert max(map(len, terminal.screen)) < 80


def test_a_log_gets_a_line_for_each_trial_once(
    sweep: Path, ended: Callable[..., Any], write_sweep: Callable[..., Path]
) -> None:
    log, clock = io.StringIO(), _Clock()
    with LiveTable(sweep, total=4, slots=1, stream=log, clock=clock) as table:
        table.look()
        write_sweep([ended(0, kid=0.06), ended(1, "failed"), ended(2, kid=0.05), ended(3, None)])
        clock.now = 5.0
        table.look()
    first, summary, line, *_ = lines = log.getvalue().splitlines()
    assert first == "2 of 4 trials had ended before"
    assert summary.startswith("2 of 4 trials have ended")
    assert line == "trial 2 (width 24) finished, KID 0.0500 ± 0.0040, 50.0 kB, 60 s"
    assert sum(line.startswith("trial") for line in lines) == 1
    assert len(lines) == len(set(lines))


def test_looking_takes_little_of_the_time(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, clock, reads = _Terminal(), _Clock(), []
    read = read_progress

    def read_slowly(folder: Path, *, total: int) -> Any:
        reads.append(clock.now)
        clock.now += 1.0
        return read(folder, total=total)

    monkeypatch.setattr("compress.fleet.report.live.read_progress", read_slowly)
    table = LiveTable(sweep, total=4, slots=1, stream=terminal, clock=clock)
    for _ in range(100):
        table.look()
        clock.now += 1.0
    assert len(reads) <= 6


def test_what_a_trial_says_of_itself_moves_no_cursor(
    ended: Callable[..., Any], write_sweep: Callable[..., Path]
) -> None:
    folder = write_sweep([ended(0, "failed", reason="a\x1b[2Jb\nc", settings={"distill.init": "x\x1by"})])
    for stream in (_Terminal(), io.StringIO()):
        with LiveTable(folder, total=1, slots=1, stream=stream) as table:
            table.look()
        assert "\x1b[2J" not in stream.getvalue()
        assert "x\x1b" not in stream.getvalue()
