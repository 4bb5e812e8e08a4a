"""Measurement of one folder of images for the gate; small enough to be kept as a baseline file.

Baseline and candidate are resampled alike: the same inputs are drawn equally often. So the difference on each resample
is known from the two distances on it, and no features need to be kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from compress.errors import UnusableData
from eval.confidence import RESAMPLES
from eval.config import NetworkName
from eval.score_key import metric_name

SCHEMA = 1
PSNR, SSIM = "psnr_db", "ssim"
CHANNELS = ("mean_red", "mean_green", "mean_blue")
PSNR_CEILING_DB = 10 * float(np.log10(12 * 255.0**2))
"""PSNR of the error that rounding to 8 bits leaves, of variance 1/12. A higher one, infinite where images are equal,
counts as that much: nobody sees the difference, and a few such images must not make up for bad ones."""

_SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class ResampledDistance:
    """A distance of a whole folder, and of each resample of it."""

    value: float
    resampled: np.ndarray
    """`(resamples,)`"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """One folder of generated images, measured."""

    key: Mapping[str, Any]
    """Everything it was measured against: a `ScoreKey`, `inputs_sha256` and the number of `resamples`."""
    distances: Mapping[str, ResampledDistance]
    """Fréchet and unbiased kernel distance to the real images, by `metric_name`."""
    paired: Mapping[str, np.ndarray]
    """Values of each image, `(images,)` in the order of sorted stems, by name: `mean_red`, `mean_green` and `mean_blue`
    in levels of 255; `psnr_db` and `ssim` to the teacher's images where there are any."""
    teacher_sha256: str | None = None
    """`content_sha256` of the images that `psnr_db` and `ssim` compare with."""
    size_bytes: int | None = None
    """Size of the model behind the images, where known."""

    @property
    def images(self) -> int:
        """Number of images that were measured."""
        return self.key["fake_images"]

    def to_mapping(self) -> dict[str, Any]:
        """Return the measurement as JSON holds it."""
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
        """Parse the result of `to_mapping`.

        Args:
            record: Parsed JSON.
            origin: Name of its source, for the error.

        Raises:
            UnusableData: If it is of another schema, or a part of it is missing or of the wrong kind.
        """
        try:
            return _parse_measurement(record)
        except KeyError as error:
            raise UnusableData(f"{origin} is no baseline file: it has no {error.args[0]!r}. {_REMEDY}") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise UnusableData(f"{origin} is no baseline file: {error}. {_REMEDY}") from error


_REMEDY = "Write one with `compress eval accept`."


def round_for_file(values: np.ndarray) -> np.ndarray:
    """Round to as many digits as a baseline file keeps.

    So a measurement equals what it is read back as, and a candidate that equals its baseline differs by exactly 0.
    """
    return np.asarray([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.ravel()]).reshape(values.shape)


def _parse_measurement(record: Any) -> Measurement:
    if record["schema"] != SCHEMA:
        raise ValueError(f"it is of schema {record['schema']!r}, expected {SCHEMA}")
    key = dict(record["key"])
    images, resamples = _parse_count(key, "fake_images"), _parse_count(key, "resamples")
    if resamples != RESAMPLES:
        raise ValueError(f"it holds {resamples} resamples, expected {RESAMPLES}")
    if key["network"] not in get_args(NetworkName):
        raise ValueError(f"its network is {key['network']!r}, expected one of {', '.join(get_args(NetworkName))}")
    wanted = [metric_name(metric, key["network"]) for metric in ("fd", "kid")]
    distances = {name: _parse_distance(record["distances"][name], resamples, name) for name in wanted}
    known = [*CHANNELS, *(name for name in (PSNR, SSIM) if name in record["paired"])]
    return Measurement(
        key=key,
        distances=distances,
        paired={name: _parse_vector(record["paired"][name], images, name) for name in known},
        teacher_sha256=record["teacher_sha256"],
        size_bytes=record["size_bytes"],
    )


def _parse_distance(record: Any, resamples: int, name: str) -> ResampledDistance:
    return ResampledDistance(
        value=float(_parse_vector([record["value"]], 1, name)[0]),
        resampled=_parse_vector(record["resampled"], resamples, name),
    )


def _parse_count(key: Mapping[str, Any], name: str) -> int:
    if not isinstance(key[name], int) or key[name] < 1:
        raise ValueError(f"its {name!r} is {key[name]!r}, expected a positive number")
    return key[name]


def _parse_vector(values: Any, length: int, name: str) -> np.ndarray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (length,) or not np.isfinite(vector).all():
        raise ValueError(f"its {name!r} is not {length} finite numbers")
    return vector
