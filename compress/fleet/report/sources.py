"""What a sweep's page is made of, read from its folder."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from compress.bench_record import BenchEntry
from compress.distill.config import HISTORY
from compress.distill.watch.history import History
from compress.errors import UnusableArtifact
from compress.fleet.choice import Candidate, choose_in, find_front, list_candidates
from compress.fleet.report.wording import name_columns
from compress.fleet.scoring import Score, read_scores
from compress.fleet.timing import read_latencies
from compress.fleet.trial import SWEEP, Outcome, Trial, list_trials, run_folder

STUDENTS = ("quantized", "pruned", "student")
"""Folders of a run in which students lie, the last one that was trained first."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """A sweep, read."""

    sweep_dir: Path
    asked: Mapping[str, Any]
    """What `sweep.toml` holds."""
    text: str
    """The same as it was written."""
    trials: Sequence[tuple[Trial, Outcome | None]]
    columns: Mapping[str, str]
    """Short name of each key that was varied."""
    finished: Sequence[Candidate]
    """Students that could be chosen."""
    front: Sequence[Candidate]
    chosen: Sequence[Candidate]
    scores: Mapping[str, Score]
    latencies: Mapping[str, BenchEntry]
    teacher_kid: float | None
    """KID of the teacher's images of the held-back photos; of several seeds the median."""

    @property
    def ended(self) -> list[tuple[Trial, Outcome]]:
        """Trials that have ended."""
        return [(trial, outcome) for trial, outcome in self.trials if outcome is not None]

    @property
    def cores(self) -> int:
        """Cores that each trial took."""
        return self.asked.get("resources", {}).get("cpus", 1)

    @property
    def gpus(self) -> float:
        """Accelerators that each trial took."""
        return self.asked.get("resources", {}).get("gpus", 0)

    @property
    def recipe(self) -> str:
        """Name of the recipe that was varied."""
        return Path(str(self.asked.get("recipe", "a recipe"))).stem


def read_sources(sweep_dir: Path) -> Sources:
    """Read a sweep's folder.

    Raises:
        UnusableArtifact: If it is no sweep's, or a record in it is torn.
    """
    try:
        text = (sweep_dir / SWEEP).read_text(encoding="utf-8")
    except OSError as error:
        raise UnusableArtifact(
            f"{sweep_dir} is no sweep's folder: {error}. Pass one that `compress sweep` made."
        ) from error
    trials = list_trials(sweep_dir)
    finished = list_candidates(trials)
    return Sources(
        sweep_dir=sweep_dir,
        asked=tomllib.loads(text),
        text=text,
        trials=trials,
        columns=name_columns(trial for trial, _ in trials),
        finished=finished,
        front=find_front(finished),
        chosen=choose_in(sweep_dir),
        scores=read_scores(sweep_dir),
        latencies=read_latencies(sweep_dir, finished),
        teacher_kid=_read_teacher_kid(sweep_dir, finished),
    )


def _read_teacher_kid(sweep_dir: Path, finished: Sequence[Candidate]) -> float | None:
    found = [_read_one(run_folder(sweep_dir, one.trial.key) / STUDENTS[-1] / HISTORY) for one in finished]
    known = [kid for kid in found if kid is not None]
    return median(known) if known else None


def _read_one(path: Path) -> float | None:
    try:
        kid = History.read(path).teacher_kid
    except UnusableArtifact:
        return None
    return None if kid is None else kid.mean
