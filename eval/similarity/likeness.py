"""How near a student's images come to its teacher's, or to the truth, pair by pair."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableData
from compress.images import read_image
from eval.similarity.colour import colour_offset
from eval.similarity.ms_ssim import SMALLEST_PX, fits, ms_ssim
from eval.similarity.pairs import pair_by_stem
from eval.similarity.psnr import psnr_db
from eval.similarity.ssim import mean_similarity, planes, similarity


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """One image against its teacher's."""

    psnr_db: float | None
    """None where both are equal in every pixel: the ratio is infinite then."""
    ssim: float | None
    """-1 to 1, where 1 is equal; None where it was not asked for."""
    ms_ssim: float | None
    """0 to 1, where 1 is equal; None where it was not asked for, or the image is too small for five scales."""
    colour_offset: tuple[float, float, float]
    """Red, green and blue of the image less the teacher's, mean over its pixels, in levels of 255."""


@dataclass(frozen=True)
class Fidelity:
    """All images of a folder against their teacher's, by stem."""

    images: Mapping[str, Likeness]

    @property
    def psnr_db(self) -> list[float]:
        """The PSNR of each image that is not equal to its teacher's."""
        return _known(likeness.psnr_db for likeness in self.images.values())

    @property
    def notes(self) -> list[str]:
        """What a reader must know of what is missing."""
        too_small = any(one.ssim is not None and one.ms_ssim is None for one in self.images.values())
        return [f"ms_ssim: left out, since its five scales need {SMALLEST_PX} px a side."] if too_small else []

    def to_mapping(self, further: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Any]:
        """As scores record it: means and extremes first, then each image. Equal images are counted, not averaged.

        Args:
            further: By name of a measure its value by stem: what a feature network says of the same pairs.
        """
        further = further or {}
        likenesses = self.images.values()
        return {
            "psnr_db": _summary(self.psnr_db),
            "ssim": _summary(_known(likeness.ssim for likeness in likenesses)),
            "ms_ssim": _summary(_known(likeness.ms_ssim for likeness in likenesses)),
            **{name: _summary(list(values.values())) for name, values in further.items()},
            "colour_offset": {"mean": np.mean([likeness.colour_offset for likeness in likenesses], axis=0).tolist()},
            "equal_images": len(self.images) - len(self.psnr_db),
            "images": {
                stem: asdict(likeness)
                | {"colour_offset": list(likeness.colour_offset)}
                | {name: values[stem] for name, values in further.items()}
                for stem, likeness in self.images.items()
            },
        }


def compare(fake: Path, teacher: Path, *, with_ssim: bool = True, fitted: bool = False) -> Fidelity:
    """Compare each image of a folder with the teacher's image of the same stem.

    Args:
        fake: Folder of images.
        teacher: Folder of what they should be.
        with_ssim: Whether SSIM and MS-SSIM are wanted; they take most of the time.
        fitted: Cut and resize the teacher's images to the fakes' size where it differs; else that is an error.

    Raises:
        UnusableData: If a file has no partner, or a pair differs in size.
    """
    images = {}
    for stem, (fake_path, teacher_path) in pair_by_stem(fake, teacher).items():
        ours = read_image(fake_path)
        theirs = read_image(teacher_path, (ours.shape[0], ours.shape[1]) if fitted else None)
        if ours.shape != theirs.shape:
            raise UnusableData(
                f"{fake_path} is {_size(ours)}, but {teacher_path} is {_size(theirs)}; similarity needs equal sizes. "
                "Translate both with one image size."
            )
        images[stem] = _likeness(ours, theirs, with_ssim=with_ssim)
    return Fidelity(images)


def _likeness(ours: np.ndarray, theirs: np.ndarray, *, with_ssim: bool) -> Likeness:
    maps = similarity(planes(ours), planes(theirs)) if with_ssim else None
    return Likeness(
        psnr_db=psnr_db(ours, theirs),
        ssim=mean_similarity(maps) if maps else None,
        ms_ssim=ms_ssim(ours, theirs, full_size=maps) if maps and fits(ours) else None,
        colour_offset=colour_offset(ours, theirs),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _summary(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"mean": float(np.mean(values)), "median": float(np.median(values)), "min": min(values), "max": max(values)}


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} px"
