"""Progress of a sweep, read from its folder: what has ended, what is in training and how far it is, what is left."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import read_json_record
from compress.distill.config import HISTORY
from compress.distill.watch.history import History
from compress.errors import UnusableArtifact
from compress.files.training_folder import place_of_training
from compress.fleet.trial import Outcome, Trial, list_trials, run_folder, trial_folder

_SIGN = "attempt.json"
"""File that a worker writes anew every two seconds while it trains a trial."""
_SILENT_S = 15.0
"""Without a sign of life for so long, a trial is not said to be in training."""
_STUDENT = "student"


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that is in training."""

    trial: Trial
    seconds: float
    """Of this attempt."""
    step: int | None
    """Of the last measurement on held-back photos."""
    kid: float | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a sweep is."""

    ended: Sequence[tuple[Trial, Outcome]]
    running: Sequence[Running]
    waiting: int
    """Trials that are neither, also those that nobody has proposed yet."""

    def seconds_left(self, slots: int) -> float | None:
        """Return how long the rest takes if it takes as long as what has ended; None before anything has.

        Args:
            slots: Trials at once.
        """
        worked = [outcome.seconds for _, outcome in self.ended if outcome.attempts and outcome.seconds > 0]
        if not worked:
            return None
        usual = sum(worked) / len(worked)
        rest = sum(max(usual - one.seconds, 0) for one in self.running) + usual * self.waiting
        return rest / max(1, slots)


def read_progress(sweep_dir: Path, *, total: int) -> Progress:
    """Read where a sweep is.

    Args:
        sweep_dir: Its folder.
        total: Trials that it will have tried in the end.

    Raises:
        UnusableArtifact: If a record is torn.
    """
    trials = list_trials(sweep_dir)
    ended = [(trial, outcome) for trial, outcome in trials if outcome is not None]
    found = (_read_running(sweep_dir, trial) for trial, outcome in trials if outcome is None)
    running = [one for one in found if one is not None]
    waiting = max(total, len(trials)) - len(ended) - len(running)
    return Progress(ended=ended, running=running, waiting=waiting)


def _read_running(sweep_dir: Path, trial: Trial) -> Running | None:
    """Read how far a trial is; None of one that no worker gives a sign of."""
    sign = trial_folder(sweep_dir, trial.key) / _SIGN
    try:
        if time.time() - sign.stat().st_mtime > _SILENT_S:
            return None
        seconds = read_json_record(sign, lambda raw: float(raw["seconds"]), what="a sign of life", advice="") or 0.0
    except (OSError, UnusableArtifact):
        return None
    point = _read_last(run_folder(sweep_dir, trial.key) / _STUDENT)
    return Running(trial=trial, seconds=seconds, step=point and point[0], kid=point and point[1])


def _read_last(student: Path) -> tuple[int, float] | None:
    """Read step and KID of a training's last measurement; None where there is none, or it is just being written."""
    for folder in (student, place_of_training(student)):
        try:
            points = [point for point in History.read(folder / HISTORY).points if point.kid]
        except (OSError, UnusableArtifact):
            continue
        if points and (kid := points[-1].kid):
            return points[-1].step, kid.mean
    return None
