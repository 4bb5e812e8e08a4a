"""Latency of a sweep's finished students: their real files, timed in turns in one run when nothing else is trained.

DIR/bench.json    the record of `compress bench host`: the teacher's file first, then one student of each shape
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from compress.bench_record import BenchEntry, read_bench
from compress.errors import UnusableData
from compress.fleet.budget.shape import ShippedShape, read_shape
from compress.fleet.choice import Candidate
from compress.fleet.command import run_command
from compress.fleet.trial import run_folder

BENCH = "bench.json"
_TEACHER = "teacher"
_ROUNDS = 20
_log = logging.getLogger(__name__)


def time_finished(sweep_dir: Path, finished: list[Candidate]) -> None:
    """Time finished students beside their teacher, unless `bench.json` holds all of them already.

    Students of one shape take one time, so one of them is timed; what pruning cut is timed each for itself.

    Args:
        sweep_dir: The sweep's folder.
        finished: From `choice.list_candidates`.

    Raises:
        CommandFailed: If a file cannot be run.
    """
    files = list(dict.fromkeys(_choose_files(sweep_dir, finished).values()))
    if not files or {str(file) for file in files} <= set(_read_entries(sweep_dir)):
        return
    _log.info("%d students are timed beside their teacher", len(files))
    baseline = run_folder(sweep_dir.resolve(), finished[0].trial.key) / _TEACHER
    effort = ("--threads", str(read_shape(finished[0].trial.recipe).threads), "--runs", str(_ROUNDS))
    timed = ("--baseline", str(baseline), *(f"--candidate={file}" for file in files))
    run_command(["bench", "host", *timed, *effort, "--out", str(sweep_dir / BENCH), "--overwrite"])


def read_latencies(sweep_dir: Path, finished: list[Candidate]) -> dict[str, BenchEntry]:
    """Return what was timed of finished students, by the key of the trial; nothing where nothing was."""
    entries = _read_entries(sweep_dir)
    files = _choose_files(sweep_dir, finished)
    return {key: entries[str(file)] for key, file in files.items() if str(file) in entries}


def _choose_files(sweep_dir: Path, finished: list[Candidate]) -> dict[str, Path]:
    """Choose the file that is timed for each student: that of the first one of its shape."""
    first: dict[str, Path] = {}
    chosen = {}
    for candidate in finished:
        key, shape = candidate.trial.key, read_shape(candidate.trial.recipe)
        own = find_file(sweep_dir, key, shape)
        is_own = shape.pruned is not None or shape.from_teacher
        chosen[key] = own if is_own else first.setdefault(shape.key, own)
    return chosen


def find_file(sweep_dir: Path, key: str, shape: ShippedShape) -> Path:
    """Return the artifact of the phone's file that a trial ships."""
    return run_folder(sweep_dir.resolve(), key) / f"student_{shape.precision}"


def _read_entries(sweep_dir: Path) -> Mapping[str, BenchEntry]:
    """Return what was timed, by its path; nothing where the record is missing or damaged: it is made anew."""
    try:
        return {entry.path: entry for entry in read_bench(sweep_dir / BENCH).entries[1:] if entry.path is not None}
    except UnusableData:
        return {}
