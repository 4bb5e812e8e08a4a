"""Reads what a student or a teacher measured of itself while it was trained."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import is_artifact
from compress.errors import UnusableData

STUDENT_RECORD = "training.json"
TEACHER_RECORD = "teaching.json"
_HELD_BACK = "held_back_psnr_db"
_DIRECTIONS = {"a2b": "A→B", "b2a": "B→A"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One measure over the steps."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    spreads: Sequence[float] | None = None
    """Standard deviation of each value."""
    control: float | None = None
    """What the untouched inputs get."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training."""

    metric: str
    """As the record names it: `held_back_psnr_db`, or a kernel distance."""
    lines: Sequence[Line]


def read_curve(path: Path) -> Curve | None:
    """Read the curve of a training.

    Args:
        path: The artifact of a distilled student, the folder of `compress teach`, or the record in one of them.

    Returns:
        None of an artifact that keeps no curve.

    Raises:
        UnusableData: If there is nothing of a training, or its record is broken.
    """
    records = [path] if path.is_file() else [path / name for name in (STUDENT_RECORD, TEACHER_RECORD)]
    record = next((record for record in records if record.is_file()), None)
    if record is None:
        if is_artifact(path):
            return None
        raise UnusableData(
            f"{path} holds no record of a training; expected a student's artifact, or the folder of `compress teach`."
        )
    try:
        history = json.loads(record.read_text(encoding="utf-8"))["history"]
        lines = _taught(history) if isinstance(history, dict) else _distilled(history)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableData(f"{record} cannot be read as the record of a training ({error!r}).") from error
    return Curve(metric=lines[0][0], lines=[line for _, line in lines]) if lines else None


def _distilled(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, Line]]:
    """From `compress distill`: the PSNR of held-back photos."""
    if not history:
        return []
    values = [_finite(point[_HELD_BACK]) for point in history]
    line = Line(name="", steps=[int(point["step"]) for point in history], values=values)
    return [(_HELD_BACK, line)]


def _taught(history: Mapping[str, Any]) -> list[tuple[str, Line]]:
    """From `compress teach`: the kernel distance of both directions; a measurement that failed is None."""
    control = history["control"] or {}
    lines = []
    for direction, arrow in _DIRECTIONS.items():
        points = [(int(check["step"]), check[direction]) for check in history["checks"] if check[direction]]
        if not points:
            continue
        line = Line(
            name=arrow,
            steps=[step for step, _ in points],
            values=[_finite(kid["mean"]) for _, kid in points],
            spreads=[_finite(kid["spread"]) for _, kid in points],
            control=_finite(control[direction]["mean"]) if control.get(direction) else None,
        )
        lines.append((str(points[0][1]["metric"]), line))
    return lines


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r}, expected a finite number")
    return number
