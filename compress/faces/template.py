"""Where a face lies in the square that a generator sees: the alignment that training data and the lens share."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.config import from_mapping, to_mapping
from compress.errors import UnusableArtifact, UsageError
from compress.faces.face import LEFT_EYE, MOUTH, RIGHT_EYE, Face

ALIGNMENT = "alignment"
"""Key of the template in a data set's note, and in the configuration of the manifests of what was trained with it."""


@dataclass(frozen=True, kw_only=True)
class AlignmentTemplate:
    """Template that faces are aligned to; lengths are shares of the square's side.

    The square is as large as its two distances ask for, whichever asks for more: seen from the side, eyes lie close
    together, seen from above, the mouth lies close to them. What it takes in beyond the photo repeats the photo's edge.
    """

    eye_distance: float = 0.235
    """Distance of the eyes from each other."""
    eye_to_mouth: float = 0.265
    """Distance of the middle of the eyes from the mouth."""
    eyes_x: float = 0.5
    """Middle of the eyes, from the left."""
    eyes_y: float = 0.43
    """Middle of the eyes, from the top."""
    level_eyes: bool = True
    """Turn the square with the head, so that the eyes lie level; else it stands upright in the photo."""

    def __post_init__(self) -> None:
        for name, least, most in (
            *((name, 0.01, 1.0) for name in ("eye_distance", "eye_to_mouth")),
            *((name, 0.0, 1.0) for name in ("eyes_x", "eyes_y")),
        ):
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} = {getattr(self, name)}, expected {least} to {most} of the square's side.")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A square in a photo, which may reach out of it and be turned: the four parameters of a similarity transform."""

    x: float
    """Its centre from the photo's left, pixels."""
    y: float
    """Its centre from the photo's top, pixels."""
    side_px: float
    roll_rad: float = 0.0
    """Angle of its upper side, radians: positive clockwise as the photo is seen."""

    def matrix(self, size_px: int) -> np.ndarray:
        """Return the `(2, 3)` affine map from places in the square, cut out as `size_px` pixels, to the photo's."""
        step = self.side_px / size_px
        cosine, sine = step * math.cos(self.roll_rad), step * math.sin(self.roll_rad)
        half = size_px / 2
        return np.array(
            [
                [cosine, -sine, self.x - half * (cosine - sine)],
                [sine, cosine, self.y - half * (sine + cosine)],
            ]
        )

    def corners(self) -> np.ndarray:
        """Return the `(4, 2)` corners in the photo, pixels: clockwise from the upper left."""
        return apply_map(self.matrix(1), np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))


def apply_map(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map `(points, 2)` by a `(2, 3)` affine matrix."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def invert_map(matrix: np.ndarray) -> np.ndarray:
    """Return the `(2, 3)` affine matrix of the way back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.concatenate([back, -back @ matrix[:, 2:]], axis=1)


def place_face(face: Face, template: AlignmentTemplate) -> Placement:
    """Return the square of a photo in which a face lies as a template says."""
    eyes = (face.points[RIGHT_EYE] + face.points[LEFT_EYE]) / 2
    apart = math.dist(face.points[RIGHT_EYE], face.points[LEFT_EYE])
    to_mouth = math.dist(eyes, face.points[MOUTH])
    # Eyes and a mouth in one place are no face; a square of a pixel still can be cut.
    side_px = max(apart / template.eye_distance, to_mouth / template.eye_to_mouth, 1.0)
    roll_rad = face.roll_rad if template.level_eyes else 0.0
    across, down = (0.5 - template.eyes_x) * side_px, (0.5 - template.eyes_y) * side_px
    cosine, sine = math.cos(roll_rad), math.sin(roll_rad)
    x = float(eyes[0]) + cosine * across - sine * down
    y = float(eyes[1]) + sine * across + cosine * down
    return Placement(x=x, y=y, side_px=side_px, roll_rad=roll_rad)


def record_template(template: AlignmentTemplate | None) -> dict[str, Any]:
    """Return what a manifest's configuration records of a template: an entry, or nothing."""
    return {} if template is None else {ALIGNMENT: to_mapping(template)}


def read_template(config: Mapping[str, Any], *, origin: str | Path) -> AlignmentTemplate | None:
    """Read the template from a manifest's configuration or a data set's note; None where it holds none.

    Raises:
        UnusableArtifact: If it holds something else.
    """
    found = config.get(ALIGNMENT)
    if found is None:
        return None
    try:
        if not isinstance(found, Mapping):
            raise UsageError(f"{origin}: {ALIGNMENT} = {found!r:.60}, expected an object.")
        return from_mapping(AlignmentTemplate, found, origin=f"{origin} {ALIGNMENT}")
    except UsageError as error:
        raise UnusableArtifact(f"{error} Make it anew.") from error
