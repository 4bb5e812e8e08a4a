"""Table of a sweep on stderr: rewritten in its place on a terminal, a line for each trial that ends in a log."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeGuard

from compress.console.facts import format_bytes
from compress.fleet.report.progress import Progress, read_progress
from compress.fleet.report.wording import (
    STATUS_WORDS,
    count_statuses,
    describe_settings,
    find_kid,
    format_kid,
    format_seconds,
    format_setting,
    name_columns,
)
from compress.fleet.trial import Outcome, Trial
from compress.printable import printable_name
from compress.text_table import format_columns

_LINE_EVERY_S = 60.0
"""Seconds between the lines of a log that say how far the sweep is."""
_SHARE_OF_TIME = 0.05
"""Share of the time that looking may take: reading a thousand outcomes takes a while."""
_WIPE_LINE, _UP = "\x1b[2K", "\x1b[1A"


class LiveTable:
    """Table of a sweep's trials while it goes on; everything in it is read from the sweep's folder.

    Args:
        sweep_dir: The folder.
        total: Trials that there will be in the end.
        slots: Trials at once.
        stream: Where to write; stderr when None.
        clock: Seconds from some moment on.
    """

    def __init__(
        self,
        sweep_dir: Path,
        *,
        total: int,
        slots: int,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sweep_dir, self._total, self._slots, self._clock = sweep_dir, total, slots, clock
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._told: set[str] = set()
        self._summary = ""
        self._lines = 0
        self._moved: list[logging.StreamHandler[Any]] = []
        self._next_look = self._next_line = -1.0

    def __enter__(self) -> "LiveTable":
        """Say what had ended before, each of which gets no line of its own; let log messages stay above the table."""
        progress = read_progress(self._sweep_dir, total=self._total)
        self._told = {trial.key for trial, _ in progress.ended}
        if progress.ended and not self._is_terminal:
            self._write(f"{len(progress.ended)} of {self._total} trials had ended before\n")
        self._moved = (
            [one for one in logging.getLogger().handlers if self._writes_here(one)] if self._is_terminal else []
        )
        for handler in self._moved:
            handler.setStream(_AboveTable(self._stream, self._wipe))
        return self

    def __exit__(self, *_: object) -> None:
        """Show where the sweep is for the last time, and leave it there."""
        for handler in self._moved:
            handler.setStream(self._stream)
        self._next_look = self._next_line = -1.0
        self.look()
        self._lines = 0

    def look(self) -> None:
        """Show where the sweep is; call it as often as you like."""
        now = self._clock()
        if now < self._next_look:
            return
        progress = read_progress(self._sweep_dir, total=self._total)
        if self._is_terminal:
            self._redraw(progress)
        else:
            self._tell(progress, now)
        self._next_look = now + (self._clock() - now) / _SHARE_OF_TIME

    def _redraw(self, progress: Progress) -> None:
        columns, rows = _terminal_size(self._stream)
        lines = [line[: columns - 1] for line in format_progress(progress, self._slots, most_rows=rows - 4)]
        self._wipe()
        self._write("".join(f"{line}\n" for line in lines))
        self._lines = len(lines)

    def _wipe(self) -> None:
        self._write((_UP + _WIPE_LINE) * self._lines)
        self._lines = 0

    def _writes_here(self, handler: logging.Handler) -> TypeGuard["logging.StreamHandler[Any]"]:
        return isinstance(handler, logging.StreamHandler) and handler.stream is self._stream

    def _tell(self, progress: Progress, now: float) -> None:
        columns = name_columns(trial for trial, _ in progress.ended)
        for trial, outcome in progress.ended:
            if trial.key not in self._told:
                self._told.add(trial.key)
                self._write(f"{_describe_end(trial, outcome, columns)}\n")
                self._next_line = min(self._next_line, now)
        summary = format_summary(progress, self._slots)
        if now >= self._next_line and summary != self._summary:
            self._write(f"{summary}\n")
            self._summary, self._next_line = summary, now + _LINE_EVERY_S

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _AboveTable:
    """Stream of log messages that wipes the table away before each; the next look draws it anew, below them.

    Args:
        stream: Where they go.
        wipe: Wipes the table away.
    """

    def __init__(self, stream: TextIO, wipe: Callable[[], None]) -> None:
        self._stream, self._wipe = stream, wipe

    def write(self, text: str) -> None:
        """Write a message, or a part of one."""
        self._wipe()
        self._stream.write(text)

    def flush(self) -> None:
        """Write out what is not yet."""
        self._stream.flush()


def format_summary(progress: Progress, slots: int) -> str:
    """Return one line: how many trials ended how, how many are in training or wait, and how long it will take."""
    total = len(progress.ended) + len(progress.running) + progress.waiting
    parts = [f"{len(progress.ended)} of {total} trials have ended"]
    if counted := count_statuses([outcome for _, outcome in progress.ended]):
        parts[0] += f" ({counted})"
    if progress.running:
        parts.append(f"{len(progress.running)} in training")
    left = progress.seconds_left(slots)
    if left is not None and (progress.running or progress.waiting):
        parts.append(f"about {format_seconds(left)} left")
    return ", ".join(parts)


def format_progress(progress: Progress, slots: int, *, most_rows: int) -> list[str]:
    """Return the table: the summary, what is in training, then what has ended, the best KID first.

    Args:
        progress: Where the sweep is.
        slots: Trials at once.
        most_rows: Most rows of trials; those beyond are counted.
    """
    trials = [*(one.trial for one in progress.running), *(trial for trial, _ in progress.ended)]
    columns = name_columns(trials)
    head = ["trial", *columns.values(), "status", "KID held back", "size", "time", ""]
    going_on = [
        _row(
            one.trial, columns, _describe_step(one.step), "–" if one.kid is None else f"{one.kid:.4f}", "–", one.seconds
        )
        for one in progress.running
    ]
    ended = [
        _row(trial, columns, STATUS_WORDS[one.status], format_kid(one), _format_size(one), one.seconds, one.reason)
        for trial, one in sorted(progress.ended, key=_by_quality)
    ]
    rows = [*going_on, *ended]
    shown = rows[: max(1, most_rows)]
    hidden = [f"… and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    return [format_summary(progress, slots), *(format_columns([head, *shown]) if shown else []), *hidden]


def _row(
    trial: Trial,
    columns: Mapping[str, str],
    status: str,
    kid: str,
    size: str,
    seconds: float,
    reason: str | None = None,
) -> list[str]:
    settings = [format_setting(trial.settings.get(key)) for key in columns]
    told = [str(trial.number), *settings, status, kid, size, format_seconds(seconds), reason or ""]
    return [printable_name(cell) for cell in told]


def _describe_step(step: int | None) -> str:
    return "in training" if step is None else f"at step {step}"


def _format_size(outcome: Outcome) -> str:
    return "–" if outcome.size_bytes is None else format_bytes(outcome.size_bytes)


def _by_quality(ended: tuple[Trial, Outcome]) -> tuple[int, float, int]:
    """Order: finished, stopped, then the rest; each by KID."""
    trial, outcome = ended
    measured = find_kid(outcome)
    return list(STATUS_WORDS).index(outcome.status), measured[1] if measured else float("inf"), trial.number


def _describe_end(trial: Trial, outcome: Outcome, columns: Mapping[str, str]) -> str:
    """Return the line of a trial that has ended."""
    parts = [f"trial {trial.number} ({describe_settings(trial, columns)}) {STATUS_WORDS[outcome.status]}"]
    if outcome.held_back:
        parts.append(f"KID {format_kid(outcome)}")
    if outcome.size_bytes is not None:
        parts.append(_format_size(outcome))
    if outcome.seconds:
        parts.append(format_seconds(outcome.seconds))
    told = ", ".join(parts)
    return printable_name(f"{told}: {outcome.reason}" if outcome.reason else told)


def _terminal_size(stream: TextIO) -> os.terminal_size:
    """Return columns and rows of the terminal that a stream writes to."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return os.terminal_size((80, 24))
    return size if size.columns > 0 else os.terminal_size((80, 24))
