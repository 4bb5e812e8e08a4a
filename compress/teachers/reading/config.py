"""Flags by which a user says what a teacher's file does not: one frozen dataclass for all commands and recipes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from compress.config import to_mapping
from compress.errors import UsageError
from compress.teachers.description import ValueRange

Padding = Literal["reflect", "zero", "replicate"]
Residual = Literal["none", "clip-add"]
BatchNormStatistics = Literal["image", "moving"]
ChannelOrder = Literal["rgb", "bgr"]
LambdaLayers = Literal["reflection_pad"]


@dataclass(frozen=True, kw_only=True)
class ReadingConfig:
    """What the user says about a teacher's file; None where the file says it, or what is assumed is right."""

    value_range: ValueRange | None = None
    """Values of the teacher's pixels, in and out."""
    padding: Padding | None = None
    """Border around the teacher's image, where its file does not say."""
    residual: Residual | None = None
    """clip-add: the picture is the photo plus what the teacher's layers make, clipped (DeblurGAN)."""
    batch_norm_statistics: BatchNormStatistics | None = None
    """Statistics of the teacher's BatchNorm: each image's own, as pix2pix translates, or the file's moving ones."""
    channel_order: ChannelOrder | None = None
    """Order of the teacher's colours: bgr where it was trained on images that OpenCV read."""
    weights_key: str | None = None
    """Which one of several generators in a file, such as G_A."""
    lambda_layers: LambdaLayers | None = None
    """What the teacher's Lambda layers do; they are never run."""
    layer_as: tuple[str, ...] = ()
    """CLASS=LAYER: what a class of the teacher's own is: instance_norm, batch_norm, reflection_pad, zero_pad,
    replication_pad, identity, relu, leaky_relu, silu, tanh, sigmoid, add, concatenate; may be repeated."""
    verify: tuple[str, ...] = ()
    """PHOTO=PICTURE, files or folders: what the teacher makes of a photo, else exit code 5; may be repeated."""

    def said(self) -> dict[str, Any]:
        """Return what the user said about the file, JSON-ready; empty where nothing."""
        return {key: value for key, value in to_mapping(self).items() if value and key != "verify"}


AS_FOUND = ReadingConfig()
"""Reading of a file about which the user says nothing."""


def merge_readings(beneath: ReadingConfig, over: ReadingConfig) -> ReadingConfig:
    """Return what either of two readings says; where both do, the second counts."""
    given = {item.name: getattr(over, item.name) for item in fields(over) if getattr(over, item.name)}
    return replace(beneath, **given)


def require_teacher_file(path: Path, reading: ReadingConfig) -> None:
    """Check that nothing is said about a file that is no teacher's: what this tool wrote, or a phone's file.

    Raises:
        UsageError: With the flags that were given.
    """
    if flags := flags_of(reading):
        raise UsageError(f"{' '.join(flags)} is for a teacher's file, but {path} is none. Leave it out.")


def flags_of(reading: ReadingConfig) -> list[str]:
    """Return the command line's flags for a reading, without those that have their default."""
    values: Mapping[str, Any] = {key: value for key, value in to_mapping(reading).items() if value}
    return [
        part
        for key, value in values.items()
        for one in (value if isinstance(value, (list, tuple)) else [value])
        for part in _flag(f"--{key.replace('_', '-')}", one)
    ]


def _flag(name: str, value: str) -> list[str]:
    # A value that begins with a dash would be taken for a flag.
    return [f"{name}={value}"] if value.startswith("-") else [name, value]
