"""Rows of pictures: which images are worst and typical, and each as a data URI."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from compress.images import read_image
from eval.report.sources import TEACHER, Sources
from eval.similarity import Fidelity

ROWS_OF_A_KIND = 3
INPUT = "input"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image with what stands under it."""

    name: str
    uri: str
    psnr_db: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case: the input, the teacher's image and each column's."""

    stem: str
    pictures: list[Picture]


def typical_stems(similarity: Fidelity) -> list[str]:
    """The images around the median PSNR, from worse to better."""
    ranked = _from_worst(similarity)
    first = max(0, (len(ranked) - ROWS_OF_A_KIND) // 2)
    return ranked[first : first + ROWS_OF_A_KIND]


def worst_stems(similarity: Fidelity) -> list[str]:
    """The images of lowest PSNR, the worst first."""
    return _from_worst(similarity)[:ROWS_OF_A_KIND]


def row(sources: Sources, stem: str) -> Row:
    """Gather a case's pictures; the input is cut and resized to what the teacher made of it."""
    teacher = read_image(sources.pictures[TEACHER][stem])
    size = (teacher.shape[0], teacher.shape[1])
    pictures = [Picture(name=INPUT, uri=_data_uri(sources.inputs[stem], size), psnr_db=None)]
    for name, paths in sources.pictures.items():
        likeness = sources.similarity[name].images[stem] if name in sources.similarity else None
        pictures.append(
            Picture(name=name, uri=_data_uri(paths[stem], size), psnr_db=likeness.psnr_db if likeness else None)
        )
    return Row(stem=stem, pictures=pictures)


def _from_worst(similarity: Fidelity) -> list[str]:
    def rank(stem: str) -> float:
        decibels = similarity.images[stem].psnr_db
        return float("inf") if decibels is None else decibels

    return sorted(similarity.images, key=rank)


def _data_uri(path: Path, size: tuple[int, int]) -> str:
    """PNG: a lossy format would add artefacts of its own to those that the page is there to show."""
    stream = io.BytesIO()
    Image.fromarray(read_image(path, size)).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
