"""A face as a finder tells it: a box, six key points and a score, in pixels of the photo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIGHT_EYE, LEFT_EYE, NOSE, MOUTH, RIGHT_EAR, LEFT_EAR = range(6)
"""Rows of `Face.points`: the person's right eye is the left one of an upright picture."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo. The origin is the photo's upper left corner; x comes first."""

    score: float
    """Probability that it is a face, 0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom, pixels: brow to chin; it may reach out of the photo."""
    points: np.ndarray
    """`(6, 2)` float, pixels: eye, eye, nose, mouth, ear, ear."""

    @property
    def side_px(self) -> float:
        """The longer side of its box, pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)

    @property
    def roll_rad(self) -> float:
        """Angle of the eye line, radians: 0 upright, positive clockwise as the photo is seen."""
        across, down = self.points[LEFT_EYE] - self.points[RIGHT_EYE]
        return float(np.arctan2(down, across))


def choose_faces(faces: Sequence[Face], *, every: bool = False, nth: int | None = None) -> list[Face]:
    """Return the largest face, every one, or the Nth largest, from 1; none where there are not so many.

    Args:
        faces: The faces of a photo, the largest first.
        every: Whether all are taken.
        nth: Which one is taken instead of the largest.
    """
    first = (nth or 1) - 1
    return list(faces) if every else list(faces[first : first + 1])


def overlap(one: Face, other: Face) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    left, top = np.maximum(one.box[:2], other.box[:2])
    right, bottom = np.minimum(one.box[2:], other.box[2:])
    shared = max(0.0, float(right - left)) * max(0.0, float(bottom - top))
    union = _area(one) + _area(other) - shared
    return shared / union if union > 0 else 0.0


def _area(face: Face) -> float:
    left, top, right, bottom = face.box
    return max(0.0, right - left) * max(0.0, bottom - top)
