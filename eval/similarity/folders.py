"""Similarity of a student's images to its teacher's, or to the truth: of one pair, and of two folders."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableData
from compress.images import psnr_db, read_image
from eval.similarity.colour import colour_offset
from eval.similarity.ms_ssim import SMALLEST_PX, fits_five_scales, ms_ssim
from eval.similarity.pairs import pair_by_stem
from eval.similarity.ssim import PEAK, compare_windows, mean_ssim, to_planes


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSimilarity:
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
class FolderSimilarity:
    """All images of a folder against their teacher's, by stem."""

    images: Mapping[str, ImageSimilarity]

    def rank_from_worst(self) -> list[str]:
        """Return the stems by PSNR, the lowest first; equal images come last."""
        decibels = {stem: image.psnr_db for stem, image in self.images.items()}
        return sorted(decibels, key=lambda stem: math.inf if (known := decibels[stem]) is None else known)

    @property
    def psnr_db(self) -> list[float]:
        """PSNR of each image that is not equal to its teacher's."""
        return _known(image.psnr_db for image in self.images.values())

    @property
    def notes(self) -> list[str]:
        """Remarks for the reader on what is missing."""
        too_small = any(image.ssim is not None and image.ms_ssim is None for image in self.images.values())
        return [f"ms_ssim: left out, since its five scales need {SMALLEST_PX} px a side."] if too_small else []

    def to_mapping(self, further: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Any]:
        """Return what scores record: means and extremes, then each image. Equal images are counted, not averaged.

        Args:
            further: Values by name and stem, such as a feature network's distances of the same pairs.
        """
        further = further or {}
        images = self.images.values()
        return {
            "psnr_db": _summarize(self.psnr_db),
            "ssim": _summarize(_known(image.ssim for image in images)),
            "ms_ssim": _summarize(_known(image.ms_ssim for image in images)),
            **{name: _summarize(list(values.values())) for name, values in further.items()},
            "colour_offset": {"mean": np.mean([image.colour_offset for image in images], axis=0).tolist()},
            "equal_images": len(self.images) - len(self.psnr_db),
            "images": {
                stem: asdict(image)
                | {"colour_offset": list(image.colour_offset)}
                | {name: values[stem] for name, values in further.items()}
                for stem, image in self.images.items()
            },
        }


def compare_folders(
    fake: Path, teacher: Path, *, with_ssim: bool = True, size: tuple[int, int] | None = None
) -> FolderSimilarity:
    """Compare each image of a folder with the teacher's image of the same stem.

    Args:
        fake: Folder of images.
        teacher: Folder of what they should be.
        with_ssim: Whether SSIM and MS-SSIM are wanted; they take most of the time.
        size: Height and width that images of both are cut and resized to where theirs differ, for photos of any size;
            None where a pair has to be of one size as it is.

    Raises:
        UnusableData: If a file is broken or has no partner, or a pair differs in size.
    """
    return FolderSimilarity(dict(compare_pairs(pair_by_stem(fake, teacher).items(), with_ssim=with_ssim, size=size)))


def compare_pairs(
    pairs: Iterable[tuple[str, tuple[Path, Path]]], *, with_ssim: bool = True, size: tuple[int, int] | None = None
) -> Iterator[tuple[str, ImageSimilarity]]:
    """Yield the stem and the similarity of each pair of files, as `pair_by_stem` gives them; else as `compare_folders`.

    Raises:
        UnusableData: If a file is broken or a pair differs in size.
    """
    for stem, (fake_path, teacher_path) in pairs:
        ours, theirs = read_image(fake_path, size), read_image(teacher_path, size)
        if ours.shape != theirs.shape:
            raise UnusableData(
                f"{fake_path} is {_size(ours)}, but {teacher_path} is {_size(theirs)}; similarity needs equal sizes. "
                "Translate both with one image size."
            )
        yield stem, compare_images(ours, theirs, with_ssim=with_ssim)


def compare_images(ours: np.ndarray, theirs: np.ndarray, *, with_ssim: bool = True) -> ImageSimilarity:
    """Compare an image with the teacher's.

    Args:
        ours: `(height, width, 3)` uint8.
        theirs: The same shape.
        with_ssim: Whether SSIM and, of images that are large enough, MS-SSIM are wanted.

    Raises:
        UnusableData: If SSIM is wanted and the image is smaller than its window.
    """
    windows = compare_windows(to_planes(ours), to_planes(theirs)) if with_ssim else None
    decibels = psnr_db(ours.astype(np.float64) - theirs.astype(np.float64), peak=PEAK)
    return ImageSimilarity(
        psnr_db=decibels if math.isfinite(decibels) else None,
        ssim=mean_ssim(windows) if windows else None,
        ms_ssim=ms_ssim(ours, theirs, full_size=windows) if windows and fits_five_scales(ours) else None,
        colour_offset=colour_offset(ours, theirs),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _summarize(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"mean": float(np.mean(values)), "median": float(np.median(values)), "min": min(values), "max": max(values)}


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} px"
