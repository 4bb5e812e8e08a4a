"""Measurement of folders in one pass: each image is decoded once and feeds every measure of the gate.

Images of one stem are in memory together, those of different stems are not: memory does not grow with their number.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compress.console.progress import progress
from compress.errors import UnusableData
from compress.images import psnr_db, read_image
from eval.confidence import RESAMPLES
from eval.distribution.fid import frechet_distance
from eval.distribution.kid import unbiased_kernel_distance
from eval.gate.folders import GateFolders
from eval.gate.measurement import (
    CHANNELS,
    PATCH,
    PHOTO_PATCH,
    PHOTO_SSIM,
    PSNR,
    PSNR_CEILING_DB,
    SSIM,
    Measurement,
    ResampledDistance,
    round_for_file,
)
from eval.score_key import PROFILE_READER, content_sha256, reader_of
from eval.similarity.patches import worst_patch_psnr_db
from eval.similarity.ssim import PEAK, ssim

if TYPE_CHECKING:
    from eval.scorer import FolderScorer

WORST_IMAGES = 5
"""Images of lowest PSNR that are kept to be looked at."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A folder to measure."""

    folder: Path
    reference: Path | None = None
    """Folder of the teacher's or the baseline's images; adds PSNR and SSIM to them."""
    photos: bool = False
    """Whether the images are compared with the photos that they were made of, too."""
    size_bytes: int | None = None
    """Size of the model behind the images, where known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WorstImage:
    """One image beside what it should be like."""

    stem: str
    psnr_db: float
    """PSNR to the reference."""
    input: Path
    reference: np.ndarray
    """Image of the teacher or, without one, of the baseline; `(height, width, 3)` uint8."""
    candidate: np.ndarray
    """The image itself, of the same shape."""


class MeasuredFolder(NamedTuple):
    """A folder's measurement, and what of its comparison with a reference no file keeps."""

    measurement: Measurement
    worst: Sequence[WorstImage]
    """Images of lowest PSNR, the lowest first; none without a reference."""
    reference_colours: np.ndarray | None
    """Mean of each of the reference's images in the order of `CHANNELS`, `(3, images)`, levels of 255."""


def measure_folders(scorer: "FolderScorer", folders: GateFolders, targets: Sequence[Target]) -> list[MeasuredFolder]:
    """Measure folders of generated images, reading each image once, whatever it is compared with.

    Args:
        scorer: Holds the real images, the feature network and the seed.
        folders: All files; its generated images are those of the targets and of their references.
        targets: The folders to measure.

    Raises:
        UnusableData: If an image is broken or too small for SSIM.
    """
    collectors = [MeasurementCollector(scorer, folders, target) for target in targets]
    with_photos = any(target.photos for target in targets)
    for stem, path in progress(folders.inputs.items(), name="measure", unit="image", stays=False):
        images = {
            folder: _read_generated(paths[stem], folders.image_size_px) for folder, paths in folders.generated.items()
        }
        photo = read_image(path, folders.image_size_px) if with_photos else None
        for collector in collectors:
            collector.add(stem, images, photo)
    return [collector.finish() for collector in collectors]


class MeasurementCollector:
    """Takes the images of a folder one by one and gives its measurement; arguments as `measure_folders`."""

    def __init__(self, scorer: "FolderScorer", folders: GateFolders, target: Target) -> None:
        self._scorer, self._folders, self._target = scorer, folders, target
        self._features = scorer.collect_features(list(folders.generated[target.folder].values()))
        self._mean_colours: list[np.ndarray] = []
        self._reference_colours: list[np.ndarray] = []
        self._compared = defaultdict[str, list[float]](list)
        self._worst: list[WorstImage] = []

    def add(self, stem: str, images: Mapping[Path, np.ndarray], photo: np.ndarray | None = None) -> None:
        """Take the images of the next stem, in sorted order.

        Args:
            stem: The stem.
            images: `(height, width, 3)` uint8, by folder.
            photo: The photo that they were made of, of the same shape; only where a target asks for it.
        """
        image = images[self._target.folder]
        self._features.add(image)
        self._mean_colours.append(_mean_colour(image))
        if self._target.photos and photo is not None:
            self._compared[PHOTO_SSIM].append(ssim(image, photo))
            self._compared[PHOTO_PATCH].append(_round_psnr(worst_patch_psnr_db(image, photo)))
        if self._target.reference is not None:
            self._compare(stem, image, images[self._target.reference])

    def finish(self) -> MeasuredFolder:
        """Return what all images together are like."""
        inputs = list(self._folders.inputs.values())
        key = self._scorer.build_score_key(len(inputs)).to_mapping()
        if reader_of(inputs) == PROFILE_READER:
            key["reader"] = PROFILE_READER
        measurement = Measurement(
            key=key | {"inputs_sha256": content_sha256(inputs), "resamples": RESAMPLES},
            distances=_measure_distances(self._scorer, self._features.finish()),
            paired={name: round_for_file(values) for name, values in self._paired_values().items()},
            teacher_sha256=self._hash_reference(),
            size_bytes=self._target.size_bytes,
        )
        colours = np.stack(self._reference_colours, axis=1) if self._reference_colours else None
        return MeasuredFolder(measurement, self._worst, colours)

    def _compare(self, stem: str, image: np.ndarray, reference: np.ndarray) -> None:
        decibels = _round_psnr(psnr_db(image.astype(np.float64) - reference.astype(np.float64), peak=PEAK))
        self._compared[PSNR].append(decibels)
        self._compared[SSIM].append(ssim(image, reference))
        self._compared[PATCH].append(_round_psnr(worst_patch_psnr_db(image, reference)))
        self._reference_colours.append(_mean_colour(reference))
        worst = WorstImage(
            stem=stem,
            psnr_db=decibels,
            input=self._folders.inputs[stem],
            reference=reference,
            candidate=image,
        )
        # Sorting is stable: of equal ones, the first stays first.
        self._worst = sorted([*self._worst, worst], key=lambda one: one.psnr_db)[:WORST_IMAGES]

    def _paired_values(self) -> dict[str, np.ndarray]:
        paired: dict[str, np.ndarray] = dict(zip(CHANNELS, np.stack(self._mean_colours, axis=1), strict=True))
        return paired | {name: np.asarray(values) for name, values in self._compared.items()}

    def _hash_reference(self) -> str | None:
        if self._target.reference is None:
            return None
        return content_sha256(list(self._folders.generated[self._target.reference].values()))


def _mean_colour(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=(0, 1), dtype=np.float64)


def _round_psnr(decibels: float) -> float:
    return float(round_for_file(np.asarray(min(decibels, PSNR_CEILING_DB))))


def _measure_distances(scorer: "FolderScorer", features: np.ndarray) -> dict[str, ResampledDistance]:
    values = {
        scorer.fd_name: frechet_distance(scorer.real_features, features),
        scorer.kid_name: unbiased_kernel_distance(scorer.real_features, features),
    }
    resampled = scorer.resample_distances(features)
    return {
        name: ResampledDistance(
            value=float(round_for_file(np.asarray(value))), resampled=round_for_file(resampled[name])
        )
        for name, value in values.items()
    }


def _read_generated(path: Path, image_size_px: tuple[int, int]) -> np.ndarray:
    image = read_image(path)
    if image.shape[:2] != image_size_px:
        # Sizes were checked by headers, which do not tell of EXIF data behind a PNG's pixels.
        raise UnusableData(
            f"{path} is {image.shape[1]}x{image.shape[0]} px when it is turned as its EXIF data says, but other images "
            f"are {image_size_px[1]}x{image_size_px[0]}; generated images must be of one size."
        )
    return image
