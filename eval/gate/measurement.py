"""Measurement of one folder of images for the gate; small enough to be kept as a baseline file.

Baseline and candidate are resampled alike: the same inputs are drawn equally often. So the difference on each resample
is known from the two distances on it, and no features need to be kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from compress.errors import UnusableData
from compress.strict_json import Bounds, Sha256, open_seal, parse_record, require_names, seal_record
from eval.confidence import RESAMPLES
from eval.score_key import ScoreKey, metric_name

SCHEMA = 2
UNSEALED_SCHEMA = 1
"""Schema of files without a content hash, which knew neither patches nor photos. They are still read."""
PSNR, SSIM, PATCH = "psnr_db", "ssim", "patch_psnr_db"
PHOTO_SSIM, PHOTO_PATCH = "photo_ssim", "photo_patch_psnr_db"
CHANNELS = ("mean_red", "mean_green", "mean_blue")
PSNR_CEILING_DB = 10 * float(np.log10(12 * 255.0**2))
"""PSNR of the error that rounding to 8 bits leaves, of variance 1/12. A higher one, infinite where images are equal,
counts as that much: nobody sees the difference, and a few such images must not make up for bad ones."""
EQUAL_DB = 20 * float(np.log10(255.0))
"""PSNR of an error of one level."""

_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(CHANNELS, (0.0, 255.0)),
    **dict.fromkeys((PSNR, PATCH, PHOTO_PATCH), (0.0, 59.0)),
    **dict.fromkeys((SSIM, PHOTO_SSIM), (-1.0, 1.0)),
}
"""Least and greatest value of an image, by name."""
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
    in levels of 255; `psnr_db`, `ssim` and `patch_psnr_db`, that of the worst patch, to the teacher's images where
    there are any; `photo_ssim` and `photo_patch_psnr_db` to the photos, fitted to the images' size."""
    teacher_sha256: str | None = None
    """`content_sha256` of the images that `psnr_db` and `ssim` compare with."""
    size_bytes: int | None = None
    """Size of the model behind the images, where known."""

    @property
    def images(self) -> int:
        """Number of images that were measured."""
        return self.key["fake_images"]

    def to_mapping(self) -> dict[str, Any]:
        """Return the measurement as JSON holds it, with a hash of its content."""
        record = {
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
        return seal_record(record)

    @classmethod
    def from_mapping(cls, record: Any, *, origin: str) -> "Measurement":
        """Parse the result of `to_mapping`.

        Args:
            record: Parsed JSON.
            origin: Name of its source, for the error.

        Raises:
            UnusableData: If it is of another schema or was changed, or a part of it is missing, unknown or wrong.
        """
        try:
            return _parse_measurement(record)
        except ValueError as error:
            raise UnusableData(f"{origin} is no baseline file: {error}. {_REMEDY}") from error


_REMEDY = "Write one with `compress eval accept`."


@dataclass(frozen=True, kw_only=True)
class MeasurementKey(ScoreKey):
    """A score's key, and what only a gate's measurement depends on."""

    inputs_sha256: Sha256
    resamples: Annotated[int, Bounds(RESAMPLES, RESAMPLES)]


_Finite = Annotated[float, Bounds(-1e12, 1e12)]


@dataclass(frozen=True, kw_only=True)
class _DistanceRecord:
    value: _Finite
    resampled: list[_Finite]


@dataclass(frozen=True, kw_only=True)
class _MeasurementRecord:
    """A measurement as JSON holds it, without its hash."""

    schema: Literal[1, 2]
    key: MeasurementKey
    teacher_sha256: Sha256 | None
    size_bytes: Annotated[int, Bounds(0)] | None
    distances: Mapping[str, _DistanceRecord]
    paired: Mapping[str, list[float]]


def equals_reference(measurement: Measurement) -> bool:
    """Return whether every image is the reference's, but for an error of one level that another format may leave."""
    return bool(measurement.paired[PSNR].min() >= EQUAL_DB)


def round_for_file(values: np.ndarray) -> np.ndarray:
    """Round to as many digits as a baseline file keeps.

    So a measurement equals what it is read back as, and a candidate that equals its baseline differs by exactly 0.
    """
    return np.asarray([float(f"{value:.{_SIGNIFICANT_DIGITS}g}") for value in values.ravel()]).reshape(values.shape)


def _parse_measurement(raw: Any) -> Measurement:
    if not isinstance(raw, dict):
        raise ValueError(f"it holds a {type(raw).__name__}, expected an object")
    schema = raw.get("schema")
    if isinstance(schema, bool) or schema not in (UNSEALED_SCHEMA, SCHEMA):
        raise ValueError(f"it is of schema {schema!r}, expected {SCHEMA}")
    unsealed = open_seal(raw) if schema == SCHEMA else raw
    record = parse_record(unsealed, _MeasurementRecord)
    wanted = [metric_name(metric, record.key.network) for metric in ("fd", "kid")]
    require_names(record.distances, "distances", needed=wanted)
    require_names(record.paired, "paired", needed=CHANNELS, known=_RANGES)
    # Without the hash of the teacher's images nobody knows what a PSNR compares with.
    if (record.teacher_sha256 is None) != (PSNR not in record.paired):
        raise ValueError(f"it has only one of 'teacher_sha256' and {PSNR!r}")
    return Measurement(
        key=record.key.to_mapping(),
        distances={
            name: ResampledDistance(
                value=one.value, resampled=_require_length(one.resampled, record.key.resamples, name)
            )
            for name, one in record.distances.items()
        },
        paired={
            name: _require_range(_require_length(values, record.key.fake_images, name), name)
            for name, values in record.paired.items()
        },
        teacher_sha256=record.teacher_sha256,
        size_bytes=record.size_bytes,
    )


def _require_length(values: list[float], length: int, name: str) -> np.ndarray:
    if len(values) != length:
        raise ValueError(f"its {name!r} is of length {len(values)}, expected {length}")
    return np.asarray(values, dtype=np.float64)


def _require_range(values: np.ndarray, name: str) -> np.ndarray:
    low, high = _RANGES[name]
    if values.min() < low or values.max() > high:
        found = f"{values.min():g} to {values.max():g}"
        raise ValueError(f"its {name!r} holds {found}, expected {low:g} to {high:g}")
    return values
