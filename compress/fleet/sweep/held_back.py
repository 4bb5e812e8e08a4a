"""KID on held-back photos, as the trainings of a trial's run write it down while they go on."""

import json
from dataclasses import dataclass
from pathlib import Path

from compress.distill.config import HISTORY
from compress.distill.watch.history import History
from compress.errors import UnusableArtifact
from compress.files.training_folder import place_of_training

STUDENT = "student"
"""Output of the stage whose trainings are compared on their way."""
_TRAINED = (STUDENT, "pruned", "quantized")
"""Outputs that are trained, each from the one before."""
_CHECKPOINT = "checkpoint.npz"


@dataclass(frozen=True)
class HeldBack:
    """What was measured of one student."""

    points: tuple[tuple[int, float, float], ...] = ()
    """Step, KID and its spread."""
    kept_step: int | None = None
    """Step whose weights were kept; None of one that is not finished."""

    def at(self, step: int) -> float | None:
        """Return the KID at a step, or None."""
        return next((kid for measured, kid, _ in self.points if measured == step), None)

    def up_to(self, step: int) -> "HeldBack":
        """Return what was measured up to a step."""
        return HeldBack(tuple(point for point in self.points if point[0] <= step), self.kept_step)

    @property
    def kept_kid(self) -> float | None:
        """KID of the weights that were kept, or None."""
        return None if self.kept_step is None else self.at(self.kept_step)


def read_held_back(run: Path, output: str = STUDENT) -> HeldBack:
    """Read what was measured of a student that is finished or in training; nothing where there is none.

    Args:
        run: The folder of a `compress run`.
        output: The student's folder in it.
    """
    for folder in (run / output, place_of_training(run / output)):
        try:
            if (folder / HISTORY).exists():
                record = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
                return HeldBack(_points(History.read(folder / HISTORY)), (record.get("chosen") or {}).get("step"))
        except (OSError, ValueError, UnusableArtifact):
            # Another machine is about to replace or remove it: the next look tells.
            continue
    return HeldBack()


def read_shipped(run: Path) -> HeldBack:
    """Read what was measured of the student that is exported: the last one that was trained and measured."""
    found = [read_held_back(run, output) for output in _TRAINED]
    return next((one for one in reversed(found) if one.points), HeldBack())


def may_pause(run: Path, step: int, *, is_saved: bool) -> bool:
    """Check whether a training that goes on has measured KID at a step.

    Args:
        run: The folder of a `compress run`.
        step: The step.
        is_saved: Whether a checkpoint follows on that step, which is waited for.
    """
    if (run / STUDENT).exists() or read_held_back(run).at(step) is None:
        return False
    work = place_of_training(run / STUDENT)
    try:
        return not is_saved or (work / _CHECKPOINT).stat().st_mtime_ns >= (work / HISTORY).stat().st_mtime_ns
    except OSError:
        return False


def _points(history: History) -> tuple[tuple[int, float, float], ...]:
    return tuple((point.step, point.kid.mean, point.kid.spread) for point in history.points if point.kid)
