"""Rows of pictures: the worst and the typical images, each as a data URI."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from compress.images import read_image
from eval.report.sources import TEACHER, Sources
from eval.similarity import FolderSimilarity

ROWS_OF_A_KIND = 3
INPUT = "input"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image and its caption."""

    name: str
    uri: str
    psnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """The pictures of one stem: the input, the teacher's image and each column's."""

    stem: str
    pictures: list[Picture]


def choose_typical_stems(similarity: FolderSimilarity) -> list[str]:
    """Choose the images around the median PSNR, from worse to better."""
    ranked = _rank_from_worst(similarity)
    first = max(0, (len(ranked) - ROWS_OF_A_KIND) // 2)
    return ranked[first : first + ROWS_OF_A_KIND]


def choose_worst_stems(similarity: FolderSimilarity) -> list[str]:
    """Choose the images of lowest PSNR, the worst first."""
    return _rank_from_worst(similarity)[:ROWS_OF_A_KIND]


def load_picture_row(sources: Sources, stem: str) -> PictureRow:
    """Load the pictures of a stem; the input is cut and resized to the size of the teacher's image."""
    teacher = read_image(sources.pictures[TEACHER][stem])
    size = (teacher.shape[0], teacher.shape[1])
    pictures = [Picture(name=INPUT, uri=_encode_picture(sources.inputs[stem], size), psnr_db=None)]
    for name, paths in sources.pictures.items():
        similarity = sources.similarity[name].images[stem] if name in sources.similarity else None
        decibels = similarity.psnr_db if similarity else None
        pictures.append(Picture(name=name, uri=_encode_picture(paths[stem], size), psnr_db=decibels))
    return PictureRow(stem=stem, pictures=pictures)


def _rank_from_worst(similarity: FolderSimilarity) -> list[str]:
    def rank(stem: str) -> float:
        decibels = similarity.images[stem].psnr_db
        return float("inf") if decibels is None else decibels

    return sorted(similarity.images, key=rank)


def _encode_picture(path: Path, size: tuple[int, int]) -> str:
    """Encode as PNG: a lossy format would add artefacts of its own to those that the page is there to show."""
    stream = io.BytesIO()
    Image.fromarray(read_image(path, size)).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
