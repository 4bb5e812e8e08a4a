"""The flags of `compress export tflite` and `compress translate`, and the `config` of their manifests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.errors import UsageError
from compress.teachers import LambdaAs

Precision = Literal["fp32", "fp16", "dynamic", "int8"]
Ends = Literal["float", "int8", "uint8"]


@dataclass(frozen=True, kw_only=True)
class TfliteConfig:
    """How a generator becomes a `.tflite` file."""

    precision: Precision = "fp32"
    """fp32; fp16 (half the file, float arithmetic); dynamic (a quarter of the file, int8 weights, float activations);
    int8 (a quarter of the file, integer arithmetic, needs --data)."""
    data: Path | None = None
    """Real photos to calibrate int8 on and to check parity with: a CycleGAN folder (its training photos) or any folder
    of images."""
    ends: Ends = "float"
    """What an int8 file takes and returns: float in [-1, 1], int8, or uint8 camera bytes."""
    image_size_px: int | None = None
    """Side of the square that the file takes; the source's own size when not given."""
    calibration_images: int = 64
    """How many photos set the activation ranges of int8."""
    author: str = ""
    """Who made the model, as the file's metadata tells."""
    license: str = ""
    """The model's licence, as the file's metadata tells; a student of someone's teacher inherits its terms."""
    description: str = ""
    """What the model does, as the file's metadata tells; its name and precision when not given."""
    lambda_as: LambdaAs | None = None
    """What the Lambda layers of a teacher's file do; they are never run."""
    seed: int = 0
    """Picks the calibration photos."""

    def __post_init__(self) -> None:
        if self.calibration_images < 1:
            raise UsageError(f"calibration_images = {self.calibration_images}, expected at least 1.")
        if self.image_size_px is not None and self.image_size_px < 1:
            raise UsageError(f"image_size_px = {self.image_size_px}, expected at least 1.")
        if self.precision == "int8" and self.data is None:
            raise UsageError("precision int8 needs photos to calibrate on. Pass --data with a folder of images.")
        if self.precision != "int8" and self.ends != "float":
            raise UsageError(
                f"ends {self.ends} belong to precision int8, but precision is {self.precision}. "
                "Pass --precision int8, or leave --ends out."
            )


@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """How a model is run over a folder of images."""

    image_size_px: int | None = None
    """Side of the square that photos are cropped and resized to; the model's own size when not given."""
    lambda_as: LambdaAs | None = None
    """What the Lambda layers of a teacher's file do; they are never run."""
    threads: int = 2
    """Threads that a .tflite file runs on."""

    def __post_init__(self) -> None:
        if self.image_size_px is not None and self.image_size_px < 1:
            raise UsageError(f"image_size_px = {self.image_size_px}, expected at least 1.")
        if self.threads < 1:
            raise UsageError(f"threads = {self.threads}, expected at least 1.")
