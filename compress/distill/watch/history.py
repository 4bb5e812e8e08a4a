"""History of a distillation's held-back photos: the points of its curve, and which of them is kept.

Plain numbers only; `watch.monitor` measures them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from compress.artifact import read_json_record
from compress.files.atomic import replace_text
from compress.training.kid import Kid, has_stalled

Weights = Literal["averaged", "raw"]
"""Weights of a student: their average over the steps, or those that the last step left."""
KidTo = Literal["real", "teacher"]
"""Images that the student's are compared with: real ones of the target domain, or the teacher's of the same photos."""
_ADVICE = "Delete the folder that it lies in to start anew."


@dataclass(frozen=True, kw_only=True)
class Point:
    """What the held-back photos measured at one step, with the weights that would have been kept there."""

    step: int
    held_back_psnr_db: float
    """Mean PSNR to the teacher's images, dB."""
    weights: Weights
    """The better ones by that PSNR."""
    kid: Kid | None = None
    """To real images, or the teacher's; None where it was not watched or could not be measured."""


@dataclass(frozen=True)
class History:
    """Points in the order of their steps; immutable."""

    points: tuple[Point, ...] = ()
    kid_to: KidTo | None = None
    """Images that KID is measured to; None where it is not watched."""
    teacher_kid: Kid | None = None
    """KID of the teacher's images of the same photos to real ones; None where KID is measured to the teacher's."""

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a history that `write` wrote; an empty one where there is no file.

        Raises:
            UnusableArtifact: If the file holds something else.
        """
        return read_json_record(path, cls._parse, what="the history of a training", advice=_ADVICE) or cls()

    @classmethod
    def _parse(cls, raw: Mapping[str, Any]) -> History:
        return cls(tuple(map(_parse_point, raw["history"])), raw["kid_to"], _parse_kid(raw["teacher_kid"]))

    def write(self, path: Path) -> None:
        """Write the history atomically, replacing the older one."""
        replace_text(path, json.dumps(self.to_mapping(), indent=2) + "\n")

    def to_mapping(self) -> dict[str, Any]:
        """Return the history as JSON holds it."""
        teacher = None if self.teacher_kid is None else asdict(self.teacher_kid)
        return {"history": [asdict(point) for point in self.points], "kid_to": self.kid_to, "teacher_kid": teacher}

    def up_to(self, step: int) -> History:
        """Return the history as it was after `step` steps, for a run that resumes there."""
        return replace(self, points=tuple(point for point in self.points if point.step <= step))

    def with_point(self, point: Point) -> History:
        """Return the history with a new point. Points at its step and later, of a run that was killed, are dropped."""
        return replace(self, points=(*self.up_to(point.step - 1).points, point))

    @property
    def network(self) -> str:
        """Network that every further KID must be measured in; `auto` before the first, which chooses it."""
        known = [self.teacher_kid, *(point.kid for point in self.points)]
        return next((kid.network for kid in known if kid), "auto")

    @property
    def best(self) -> Point | None:
        """The point of the lowest KID, the earlier of equals; None before any was measured."""
        return min(self._measured, key=lambda point: _kid(point).mean, default=None)

    @property
    def chosen(self) -> Point | None:
        """The point whose weights are kept; None of an empty history.

        It is the last one whose KID is above the lowest by no more than that one's own spread. Within the noise, which
        `kid.has_stalled` tells about, more training at a lower learning rate is the better reason. A point whose
        measurement failed is passed over; where none was measured, the last point is chosen. A new point is thus either
        chosen itself or leaves the choice as it was.
        """
        best = self.best
        if best is None:
            return self.points[-1] if self.points else None
        bound = _kid(best).mean + _kid(best).spread
        return next(point for point in reversed(self._measured) if _kid(point).mean <= bound)

    def has_stalled(self, patience: int, *, from_step: int = 0) -> bool:
        """Check whether the last `patience` measured KIDs brought no improvement beyond the noise.

        Args:
            patience: Number of KIDs, at least 1.
            from_step: Points up to this step do not count: what is trained has changed there.
        """
        return has_stalled([_kid(point) for point in self._measured if point.step > from_step], patience)

    def explain_choice(self) -> str:
        """Return why the chosen point was chosen, for people."""
        chosen, best = self.chosen, self.best
        if chosen is None:
            return "nothing was trained"
        if best is None:
            return "the last step, since KID was not measured"
        lowest = f"{_kid(best).label} {_format(_kid(best))} at step {best.step}"
        if chosen == best:
            return f"the lowest {lowest}"
        return f"the last step within the spread of the lowest {lowest}: here {_format(_kid(chosen))}"

    @property
    def _measured(self) -> list[Point]:
        return [point for point in self.points if point.kid]


def describe_point(point: Point, teacher_kid: Kid | None = None) -> str:
    """Describe what a point measured in one line, the teacher's KID beside it where there is one."""
    text = f"step {point.step}: held-back PSNR {point.held_back_psnr_db:.2f} dB ({point.weights} weights)"
    if point.kid is None:
        return text
    beside = "" if teacher_kid is None else f" (teacher {_format(teacher_kid)})"
    return f"{text}, {point.kid.label} {_format(point.kid)}{beside}"


def _format(kid: Kid) -> str:
    return f"{kid.mean:.4f} ± {kid.spread:.4f}"


def _kid(point: Point) -> Kid:
    if point.kid is None:
        raise ValueError(f"KID was not measured at step {point.step}.")
    return point.kid


def _parse_point(raw: Mapping[str, Any]) -> Point:
    return Point(**{**raw, "kid": _parse_kid(raw["kid"])})


def _parse_kid(raw: Mapping[str, Any] | None) -> Kid | None:
    return None if raw is None else Kid(**raw)
