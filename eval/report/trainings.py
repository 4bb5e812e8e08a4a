"""Training curves, read from the records that students and teachers keep of their training."""

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
    """One metric over the steps."""

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    spreads: Sequence[float] | None = None
    """Standard deviation of each value."""
    control: float | None = None
    """Value of the untouched inputs."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The lines of one training, all of one metric."""

    metric: str
    """Name of the metric in the record: `held_back_psnr_db`, or a kernel distance."""
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
        lines = _parse_teaching(history) if isinstance(history, dict) else _parse_distillation(history)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableData(f"{record} cannot be read as the record of a training ({error!r}).") from error
    return Curve(metric=lines[0][0], lines=[line for _, line in lines]) if lines else None


def _parse_distillation(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, Line]]:
    """Parse the history of `compress distill`: the PSNR of held-back photos."""
    if not history:
        return []
    values = [_parse_finite(point[_HELD_BACK]) for point in history]
    line = Line(name="", steps=[int(point["step"]) for point in history], values=values)
    return [(_HELD_BACK, line)]


def _parse_teaching(history: Mapping[str, Any]) -> list[tuple[str, Line]]:
    """Parse the history of `compress teach`: the kernel distance of both directions; a failed measurement is None."""
    control = history["control"] or {}
    lines = []
    for direction, arrow in _DIRECTIONS.items():
        points = [(int(check["step"]), check[direction]) for check in history["checks"] if check[direction]]
        if not points:
            continue
        line = Line(
            name=arrow,
            steps=[step for step, _ in points],
            values=[_parse_finite(kid["mean"]) for _, kid in points],
            spreads=[_parse_finite(kid["spread"]) for _, kid in points],
            control=_parse_finite(control[direction]["mean"]) if control.get(direction) else None,
        )
        lines.append((str(points[0][1]["metric"]), line))
    return lines


def _parse_finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r}, expected a finite number")
    return number
