"""Stages: commands that follow each other in one folder, one process each, resumable, as `compress run` needs them.

A stage is the command a user would type, so TensorFlow and PyTorch never meet in one process, a stage's memory is gone
when it ends, and whatever is done here can be done by hand. A record beside the outputs remembers, for every finished
one, the command, the contents of what it read from outside, and the contents of what it wrote: a stage is repeated when
one of them or anything before it has changed.
"""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.console.exits import handling
from compress.console.library_lines import VERBOSE
from compress.console.parent import child_variables
from compress.errors import PocketGANError, UsageError
from compress.files.atomic import remove, remove_leftovers, replace_text
from compress.files.ownership import fingerprint_written, is_empty, is_ours

_CLEANING_S = 20
_HASH = re.compile("[0-9a-f]{64}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stage:
    """One command and the path that it writes, relative to the folder of all stages."""

    output: str
    command: tuple[str, ...]
    cache_flags: tuple[str, ...] = ()
    """Flags that change how long the command takes and never what it writes; the record of what ran is without them."""
    inputs: tuple[str, ...] = ()
    """Fingerprints of what no stage wrote and that may change under the same path; recorded with the command."""
    trains: bool = False
    """Whether it trains something, which is not replaced unless that is asked for."""
    is_written_on: bool = False
    """Whether its output is a text that the user may go on writing, which is kept."""

    @property
    def asked(self) -> list[str]:
        """What makes this stage the one that it is."""
        return [*self.command, *self.inputs]


class StageFailed(PocketGANError):
    """Error of a stage, which has said why itself; its exit code becomes the whole command's."""

    def __init__(self, stage: Stage, exit_code: int) -> None:
        super().__init__(f"stopped at {stage.output}: compress {' '.join(stage.command)}")
        self.stage = stage
        self.exit_code = exit_code


def run_stages(stages: Iterable[Stage], out: Path, *, record: str, overwrite: bool = False) -> dict[str, float]:
    """Run stages in order, skipping those whose output is there and up to date.

    Args:
        stages: In order; each may read what those before it wrote.
        out: The folder of their outputs; made if missing, continued if not.
        record: Name of the file in it that remembers what ran.
        overwrite: Whether what was trained may be replaced, where its command or what it was made from has changed.

    Returns:
        The seconds of every stage that ran, by its output.

    Raises:
        StageFailed: With the exit code of the stage that failed.
        UsageError: If `out` holds something, but no such record, or what was trained would be replaced.
    """
    remove_leftovers(out / record)
    ended = _read_record(out, record)
    ordered = list(stages)
    seconds: dict[str, float] = {}
    if not overwrite:
        _require_nothing_trained_is_lost(ordered, ended, out)
    for position, stage in enumerate(ordered):
        place = f"[{position + 1}/{len(ordered)}] {stage.output}"
        known = ended.get(stage.output)
        change = _find_change(stage, known, out)
        if change is None:
            _log.info("%s is there", place)
            continue
        _log.info("%s%s", place, f", anew: {change}" if known else "")
        if known and stage.is_written_on:
            _keep_writing(out / stage.output, known)
        if known and _is_damaged_file(out / stage.output):
            # This run made it, and it is damaged beyond what --overwrite would know for its own.
            remove(out / stage.output)
        # The folder is a run's from the first stage on, also if that is killed.
        _write_record(out / record, ended)
        seconds[stage.output] = _execute(stage, out)
        made = fingerprint_written(out / stage.output)
        # Only now is out of date what may have been made from what this replaced: what comes later, and what none of
        # these stages writes. A run that was killed before has replaced nothing, and takes back what it had.
        current = {earlier.output for earlier in ordered[:position]}
        ended = {output: entry if output in current else {**entry, "asked": []} for output, entry in ended.items()}
        ended[stage.output] = {"asked": stage.asked, "made": made, "seconds": seconds[stage.output]}
        _write_record(out / record, ended)
    return seconds


def _require_nothing_trained_is_lost(
    stages: Sequence[Stage], ended: Mapping[str, Mapping[str, Any]], out: Path
) -> None:
    """Check that no stage that trains is to be repeated because of what the user changed.

    What is gone, or damaged and quickly made, is made anew without a question: nothing is lost by it.

    Raises:
        UsageError: With what has changed, and what repeating it would cost.
    """
    for position, stage in enumerate(stages):
        known = ended.get(stage.output)
        if known is None or not known["asked"] or _find_change(stage, known, out) is None:
            continue
        if (change := _explain_change(stage, known["asked"])) is None:
            if not stage.trains or not (out / stage.output).exists():
                return
            change = f"{stage.output} was changed or damaged since it was trained"
        stale = [one for one in stages[position:] if one.output in ended and (out / one.output).exists()]
        if lost := [one for one in stale if one.trains]:
            raise UsageError(
                f"{change}. {_join(one.output for one in stale)} would be made anew, "
                f"{_cost(lost, ended)}. Pass --overwrite to replace them, or another --out."
            )
        return


def _explain_change(stage: Stage, asked: Sequence[str]) -> str | None:
    """Return what the user changed since a stage ran; None where nothing."""
    command = list(stage.command)
    if list(asked) == stage.asked:
        return None
    if list(asked[: len(command)]) == command:
        return f"what {stage.output} was made from has changed under its path"
    before, now = (_flag_values([word for word in words if not _HASH.fullmatch(word)]) for words in (asked, command))
    changed = [
        f"{name} {before.get(name, 'not given')} -> {now.get(name, 'not given')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
    return f"{stage.output} was made with other settings ({'; '.join(changed) or 'another command'})"


def _flag_values(words: Sequence[str]) -> dict[str, str]:
    """Return the flags of a command line with what follows each."""
    found: dict[str, str] = {}
    name = None
    for word in words:
        if word.startswith("--"):
            name, _, value = word.partition("=")
            found[name] = f"{found[name]} {value}".strip() if name in found else value
        elif name is not None:
            found[name] = f"{found[name]} {word}".strip()
    return found


def _cost(lost: Sequence[Stage], ended: Mapping[str, Mapping[str, Any]]) -> str:
    costs = [(one.output, ended[one.output].get("seconds")) for one in lost]
    told = [f"{name} took {seconds / 60:.0f} min" if seconds else f"{name} was trained" for name, seconds in costs]
    return "of which " + " and ".join(told)


def _join(names: Iterable[str]) -> str:
    first, *others = names
    return f"{first} and {len(others)} after it" if others else first


def _find_change(stage: Stage, known: Mapping[str, Any] | None, out: Path) -> str | None:
    """Return why a stage is to run; None where it has ended well and need not."""
    path = out / stage.output
    if known is None:
        return "it has not ended yet"
    if not path.exists():
        return "it is gone"
    if not known["asked"]:
        return "what came before it was"
    command, inputs = list(stage.command), list(stage.inputs)
    if known["asked"][: len(command)] != command:
        return "it was made by another command"
    if known["asked"][len(command) :] != inputs:
        return "what it was made from has changed"
    if stage.is_written_on or known["made"] == fingerprint_written(path):
        return None
    return "it was changed or damaged since"


def _keep_writing(path: Path, known: Mapping[str, Any]) -> None:
    """Put a text that the user went on writing beside what is made anew in its place."""
    if path.is_file() and known["made"] != fingerprint_written(path):
        kept = path.with_name(f"{path.stem}.yours{path.suffix}")
        os.replace(path, kept)
        _log.info("%s was changed since it was made: it is %s now", path, kept.name)


def _is_damaged_file(path: Path) -> bool:
    """Check for a file that bears no signature of this tool; a folder without a marker may be the user's."""
    return os.path.lexists(path) and not path.is_dir() and not is_ours(path)


def _execute(stage: Stage, out: Path) -> float:
    """Run a stage's command, whose progress goes straight to the terminal; return how long it took, seconds.

    What it prints of its result is in its files and, in short, at the run's end; `--verbose` shows it.
    """
    started = time.monotonic()
    written = ("--out", str(out / stage.output), "--overwrite")
    command = [sys.executable, "-P", "-m", "compress", *stage.command, *stage.cache_flags, *written]
    (out / stage.output).parent.mkdir(parents=True, exist_ok=True)
    exit_code = _run_to_end(command)
    if exit_code != 0:
        raise StageFailed(stage, exit_code)
    return round(time.monotonic() - started, 1)


def _run_to_end(command: list[str]) -> int:
    """Run a command and return its exit code; on Ctrl-C, let it clean up before being interrupted, too.

    `subprocess.run` would kill it a quarter of a second after Ctrl-C, while it removes what it had half written. Who
    ends this process means the stage, which would otherwise go on by itself. A signal's exit code is a shell's.
    """
    results = sys.stderr if os.environ.get(VERBOSE) else subprocess.DEVNULL
    with (
        subprocess.Popen(command, stdout=results, stderr=sys.stderr, env=child_variables()) as process,
        _ended_with(process),
    ):
        try:
            exit_code = process.wait()
            return exit_code if exit_code >= 0 else 128 - exit_code
        except KeyboardInterrupt:
            try:
                # A terminal sends Ctrl-C to the stage as well.
                process.wait(timeout=_CLEANING_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                process.wait()
            raise


@contextmanager
def _ended_with(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Pass SIGTERM and SIGHUP on to a process."""
    with handling(lambda number, frame: process.send_signal(number)):
        yield


def _read_record(out: Path, name: str) -> dict[str, dict[str, Any]]:
    if not out.exists() or (out.is_dir() and is_empty(out)):
        return {}
    try:
        record = json.loads((out / name).read_text(encoding="utf-8"))
        if not all(set(entry) - {"seconds"} == {"asked", "made"} for entry in record.values()):
            raise ValueError("an entry of an earlier version")
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(
            f"{out / name}, which remembers what {out} holds was made from, is damaged or of an earlier version "
            f"({error}). Put a copy of it back, or pass another --out: nothing in {out} is touched."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{out} holds something else than a run: it has no {name} that can be read. Pass another --out."
        ) from error
    return record


def _write_record(path: Path, ended: Mapping[str, Mapping[str, Any]]) -> None:
    replace_text(path, json.dumps(ended, indent=2) + "\n")
