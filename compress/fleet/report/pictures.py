"""Pictures of a sweep's students on the same held-back photos, cut from the sheets that their trainings left."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress import images
from compress.errors import UnusableInput
from compress.fleet.choice import Candidate
from compress.fleet.report.sources import STUDENTS
from compress.fleet.trial import run_folder
from compress.images.sheet import cut_sheet

_SHEET = "samples.png"
_COLUMNS = 3
"""Photo, teacher's image, student's image."""
MOST_PHOTOS = 3
MOST_STUDENTS = 24


@dataclass(frozen=True)
class PictureGroup:
    """Students that were measured on the same held-back photos."""

    photos: Sequence[np.ndarray]
    teacher: Sequence[np.ndarray]
    """The teacher's images of them."""
    students: Sequence[tuple[Candidate, Sequence[np.ndarray]]]
    """Each student's images of them."""


def read_pictures(sweep_dir: Path, students: Sequence[Candidate]) -> list[PictureGroup]:
    """Read the pictures of students, those of the same held-back photos together.

    Which photos are held back depends on the seed and on how many there are to be; a student whose sheet is gone, or is
    no such sheet, has no pictures.

    Args:
        sweep_dir: The sweep's folder.
        students: In the order in which they are to be shown.
    """
    groups: dict[str, list[tuple[Candidate, list[list[np.ndarray]]]]] = {}
    for student in students:
        rows = _read_rows(run_folder(sweep_dir, student.trial.key))
        if rows:
            groups.setdefault(_identify(rows), []).append((student, rows))
    return [_group(members) for members in groups.values()]


def _group(members: Sequence[tuple[Candidate, list[list[np.ndarray]]]]) -> PictureGroup:
    _, first = members[0]
    return PictureGroup(
        photos=[row[0] for row in first],
        teacher=[row[1] for row in first],
        students=[(student, [row[2] for row in rows]) for student, rows in members],
    )


def _read_rows(run: Path) -> list[list[np.ndarray]]:
    """Read the rows of the sheet of the last student that a run trained; none where there is no such sheet."""
    for name in STUDENTS:
        path = run / name / _SHEET
        try:
            if path.is_file():
                return cut_sheet(images.read_image(path), columns=_COLUMNS)[:MOST_PHOTOS]
        except (UnusableInput, ValueError):
            return []
    return []


def _identify(rows: Sequence[Sequence[np.ndarray]]) -> str:
    """Return what tells photos, and the teacher's images of them, from others."""
    digest = hashlib.sha256()
    for photo, teacher, _ in rows:
        digest.update(str(photo.shape).encode() + photo.tobytes() + teacher.tobytes())
    return digest.hexdigest()
