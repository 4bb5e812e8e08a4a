"""Rows of pictures: each image as a data URI, and where a student differs."""

from dataclasses import dataclass

import numpy as np

from compress.images import read_image
from compress.page.html import encode_picture
from eval.report.naming import CONTROL, INPUT, TEACHER
from eval.report.sources import Sources

BRIGHTER = 4
"""Factor by which a difference is shown, so that what is seen side by side is seen in it: black up to a level of 255,
white from 64 on."""
DIFFERENCE = f"difference, {BRIGHTER}x"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image and its caption."""

    name: str
    uri: str
    psnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """The pictures of one stem: the photo, the teacher's image, each column's, and where the last one differs."""

    stem: str
    pictures: list[Picture]


def load_picture_row(sources: Sources, stem: str) -> PictureRow:
    """Load the pictures of a stem; the photo is cut and resized to the size of the teacher's image."""
    teacher = read_image(sources.pictures[stem][TEACHER])
    size = (teacher.shape[0], teacher.shape[1])
    shown = {name: read_image(path, size) for name, path in sources.pictures[stem].items()}
    pictures = [
        Picture(name=name, uri=encode_picture(pixels), psnr_db=_find_psnr_db(sources, name, stem))
        for name, pixels in shown.items()
    ]
    difference = draw_difference(shown[sources.student], teacher)
    pictures.append(Picture(name=DIFFERENCE, uri=encode_picture(difference), psnr_db=None))
    return PictureRow(stem=stem, pictures=pictures)


def draw_difference(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    """Draw where two images differ: the largest difference of the three colours, `BRIGHTER` times as bright.

    Args:
        student: `(height, width, 3)` uint8.
        teacher: The same shape.

    Returns:
        `(height, width)` uint8: grey, a third of the bytes of one in colour.
    """
    largest = np.abs(student.astype(np.int16) - teacher).max(axis=-1)
    return np.minimum(BRIGHTER * largest, 255).astype(np.uint8)


def _find_psnr_db(sources: Sources, name: str, stem: str) -> float | None:
    similarity = sources.similarity.get(CONTROL if name == INPUT else name)
    return similarity.images[stem].psnr_db if similarity else None
