"""All that the gate knows of one folder of images; small enough to be kept as a baseline file.

Baseline and candidate are resampled alike: the same inputs are drawn equally often. So the difference on each resample
is known from the two distances on it, and no features need to be kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from compress.errors import UnusableData
from compress.images import read_image
from eval.confidence import RESAMPLES
from eval.config import NetworkName
from eval.distribution.fid import frechet_distance
from eval.distribution.kid import unbiased_kernel_distance
from eval.score_key import content_sha256, metric_name
from eval.similarity import compare, pair_by_stem

if TYPE_CHECKING:
    from eval.scorer import FolderScorer

SCHEMA = 1
PSNR, SSIM = "psnr_db", "ssim"
CHANNELS = ("mean_red", "mean_green", "mean_blue")
PSNR_CEILING_DB = 10 * float(np.log10(12 * 255.0**2))
"""Rounding to 8 bits leaves an error of variance 1/12. A PSNR above that, infinite where images are equal, counts as
that much: nobody sees the difference, and a few such images must not make up for bad ones."""

_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class Resampled:
    """A distance of a whole folder, and of each resample of it."""

    value: float
    resampled: np.ndarray
    """`(resamples,)`"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """One folder of generated images, measured."""

    key: Mapping[str, Any]
    """What it was measured against: a `ReferenceKey`, `inputs_sha256` and the number of `resamples`."""
    distances: Mapping[str, Resampled]
    """Fréchet and unbiased kernel distance to the real images, under the names of `metric_name`."""
    paired: Mapping[str, np.ndarray]
    """By name, `(images,)` values in the order of sorted stems: `mean_red`, `mean_green` and `mean_blue` in levels of
    255; `psnr_db` and `ssim` to the teacher's images where there are any."""
    teacher_sha256: str | None = None
    """Of the images that `psnr_db` and `ssim` compare with."""
    size_bytes: int | None = None
    """Of the model behind the images, where known."""

    @property
    def images(self) -> int:
        """How many images were measured."""
        return self.key["fake_images"]

    def to_mapping(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "schema": SCHEMA,
            "key": dict(self.key),
            "teacher_sha256": self.teacher_sha256,
            "size_bytes": self.size_bytes,
            "distances": {
                name: {"value": distance.value, "resampled": distance.resampled.tolist()}
                for name, distance in self.distances.items()
            },
            "paired": {name: values.tolist() for name, values in self.paired.items()},
        }

    @classmethod
    def from_mapping(cls, record: Any, *, origin: str) -> "Measurement":
        """Read what `to_mapping` made.

        Args:
            record: Parsed JSON.
            origin: Where it comes from, for the error.

        Raises:
            UnusableData: If it is of another schema, or a part of it is missing or of the wrong kind.
        """
        try:
            return _read(record)
        except KeyError as error:
            raise UnusableData(f"{origin} is no baseline file: it has no {error.args[0]!r}. {_REMEDY}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise UnusableData(f"{origin} is no baseline file: {error}. {_REMEDY}") from error


_REMEDY = "Write one with `compress eval accept`."


def measure_folder(
    judge: "FolderScorer", folder: Path, *, inputs: Path, teacher: Path | None = None, size_bytes: int | None = None
) -> Measurement:
    """Measure a folder of generated images.

    Args:
        judge: Holds the real images, the feature network and the seed.
        folder: One image for each input, of the same stem and of the judge's size.
        inputs: Folder of what the generator was given.
        teacher: Folder of the teacher's images of the same stems; adds PSNR and SSIM.
        size_bytes: Size of the model behind the images.

    Raises:
        UnusableData: If an image is broken, has no partner or is of another size than its partner.
    """
    pairs = pair_by_stem(folder, inputs)
    stems = sorted(pairs)
    paths = [pairs[stem][0] for stem in stems]
    paired = _mean_colours(paths) | (_likeness(folder, teacher) if teacher else {})
    return Measurement(
        key=judge.key(len(paths)).to_mapping()
        | {"inputs_sha256": content_sha256([pairs[stem][1] for stem in stems]), "resamples": RESAMPLES},
        distances=_distances(judge, judge.features(paths)),
        paired={name: _rounded(values) for name, values in paired.items()},
        teacher_sha256=_folder_sha256(teacher, folder) if teacher else None,
        size_bytes=size_bytes,
    )


def _distances(judge: "FolderScorer", features: np.ndarray) -> dict[str, Resampled]:
    values = {
        judge.fd_name: frechet_distance(judge.real_features, features),
        judge.kid_name: unbiased_kernel_distance(judge.real_features, features),
    }
    resampled = judge.resampled(features)
    return {
        name: Resampled(value=float(_rounded(np.asarray(value))), resampled=_rounded(resampled[name]))
        for name, value in values.items()
    }


def _mean_colours(paths: list[Path]) -> dict[str, np.ndarray]:
    """The mean of each channel of each image. From the difference of two models' means it shows how far colours moved,
    so the teacher is not needed for it.
    """
    means = np.stack([read_image(path).mean(axis=(0, 1), dtype=np.float64) for path in paths])
    return {name: means[:, channel] for channel, name in enumerate(CHANNELS)}


def _likeness(folder: Path, teacher: Path) -> dict[str, np.ndarray]:
    images = [likeness for _, likeness in sorted(compare(folder, teacher).images.items())]
    decibels = [PSNR_CEILING_DB if likeness.psnr_db is None else likeness.psnr_db for likeness in images]
    return {
        PSNR: np.minimum(decibels, PSNR_CEILING_DB),
        SSIM: np.asarray([likeness.ssim for likeness in images], dtype=np.float64),
    }


def _folder_sha256(folder: Path, partner: Path) -> str:
    pairs = pair_by_stem(folder, partner)
    return content_sha256([pairs[stem][0] for stem in sorted(pairs)])


def _rounded(values: np.ndarray) -> np.ndarray:
    """To as many digits as a baseline file keeps: then a measurement equals what it is read back as, and a candidate
    that equals its baseline differs by exactly 0.
    """
    return np.asarray([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.ravel()]).reshape(values.shape)


def _read(record: Any) -> Measurement:
    if record["schema"] != SCHEMA:
        raise ValueError(f"it is of schema {record['schema']!r}, expected {SCHEMA}")
    key = dict(record["key"])
    images, resamples = _count(key, "fake_images"), _count(key, "resamples")
    if resamples != RESAMPLES:
        raise ValueError(f"it holds {resamples} resamples, expected {RESAMPLES}")
    if key["network"] not in get_args(NetworkName):
        raise ValueError(f"its network is {key['network']!r}, expected one of {', '.join(get_args(NetworkName))}")
    wanted = [metric_name(metric, key["network"]) for metric in ("fd", "kid")]
    distances = {name: _read_distance(record["distances"][name], resamples, name) for name in wanted}
    known = [*CHANNELS, *(name for name in (PSNR, SSIM) if name in record["paired"])]
    return Measurement(
        key=key,
        distances=distances,
        paired={name: _vector(record["paired"][name], images, name) for name in known},
        teacher_sha256=record["teacher_sha256"],
        size_bytes=record["size_bytes"],
    )


def _read_distance(record: Any, resamples: int, name: str) -> Resampled:
    return Resampled(
        value=float(_vector([record["value"]], 1, name)[0]), resampled=_vector(record["resampled"], resamples, name)
    )


def _count(key: Mapping[str, Any], name: str) -> int:
    if not isinstance(key[name], int) or key[name] < 1:
        raise ValueError(f"its {name!r} is {key[name]!r}, expected a positive number")
    return key[name]


def _vector(values: Any, length: int, name: str) -> np.ndarray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (length,) or not np.isfinite(vector).all():
        raise ValueError(f"its {name!r} is not {length} finite numbers")
    return vector
