"""Flags of `compress export` and `compress translate`, and the `config` of their manifests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

Precision = Literal["fp32", "fp16", "dynamic", "int8"]
IoType = Literal["float", "int8", "uint8"]
Target = Literal["cpu", "gpu", "npu-mediatek", "npu-qualcomm", "npu-google", "mediapipe", "lens-studio"]
CoremlPrecision = Literal["fp32", "fp16", "int8_weights", "palette8", "palette6", "int8"]
OnnxPrecision = Literal["fp32", "fp16", "int8"]
OnnxIoType = Literal["float", "rgb255"]
OnnxTarget = Literal["lens-studio"]
OLDEST_OPSET, NEWEST_OPSET = 11, 21
"""Versions of ONNX's operators that files are written in."""
OLDEST_INT8_OPSET = 13
"""Version that brought one scale for each channel."""
_INT8_NEEDS_DATA = "precision int8 needs photos to calibrate on. Pass --data with a folder of images."


@dataclass(frozen=True, kw_only=True)
class TfliteConfig:
    """Configuration of `compress export tflite`."""

    precision: Precision = "fp32"
    """fp32; fp16 (half the file, float arithmetic); dynamic (a quarter of the file, int8 weights, float activations);
    int8 (a quarter of the file, integer arithmetic, needs --data)."""
    data: Path | None = None
    """Real photos to calibrate int8 on and to check parity with: a CycleGAN folder (its training photos) or any folder
    of images."""
    io_type: IoType = "float"
    """Type of an int8 file's input and output: float in [-1, 1], int8, or uint8 camera bytes."""
    target: Target = "cpu"
    """What runs the file, and what is rewritten for it: cpu; gpu, npu-mediatek, npu-qualcomm, npu-google (LiteRT's
    delegates, by the tables of their sources); mediapipe (its image tasks); lens-studio (Snap)."""
    image_size_px: int | None = None
    """Side of the square that the file takes; the source's own size when not given."""
    other_sizes_px: tuple[int, ...] = ()
    """Side of a square that the same file takes too; may be repeated. Its weights are stored once."""
    calibration_images: int = 64
    """Number of photos that set the activation ranges of int8."""
    author: str = ""
    """Author of the model, for the file's metadata."""
    license: str = ""
    """Licence of the model, for the file's metadata; a student of someone's teacher inherits its terms."""
    description: str = ""
    """Sentence about the model, for the file's metadata; its name and precision when not given."""
    seed: int = 0
    """Random seed for the draw of photos."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1, image_size_px=1)
        _check_other_sizes(self.other_sizes_px)
        if self.precision == "int8" and self.data is None:
            raise UsageError(_INT8_NEEDS_DATA)
        if self.precision != "int8" and self.io_type != "float":
            raise UsageError(
                f"io_type = {self.io_type} belongs to precision int8, but precision is {self.precision}. "
                "Pass --precision int8, or leave --io-type out."
            )
        _check_target(self)


@dataclass(frozen=True, kw_only=True)
class CoremlConfig:
    """Configuration of `compress export coreml`."""

    precision: CoremlPrecision = "fp16"
    """fp32; fp16 (what the Neural Engine computes in); int8_weights, palette8, palette6 (fewer bits a weight, fp16
    arithmetic); int8 (weights and activations, the integers of the .tflite file, iOS 17, needs --data)."""
    data: Path | None = None
    """Real photos to calibrate int8 on, to look for overflows and to check parity with: a CycleGAN folder (its training
    photos) or any folder of images."""
    image_size_px: int | None = None
    """Side of the square that the package takes; the source's own size when not given."""
    other_sizes_px: tuple[int, ...] = ()
    """Side of a square that the same package takes too; may be repeated. Its weights are stored once."""
    calibration_images: int = 64
    """Number of photos that set the activation ranges of int8."""
    author: str = ""
    """Author of the model, shown by Xcode."""
    license: str = ""
    """Licence of the model, shown by Xcode."""
    model_version: str = "1"
    """Version of the model, shown by Xcode."""
    seed: int = 0
    """Random seed for the draw of photos."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1, image_size_px=1)
        _check_other_sizes(self.other_sizes_px)
        if self.precision == "int8" and self.data is None:
            raise UsageError(_INT8_NEEDS_DATA)


@dataclass(frozen=True, kw_only=True)
class OnnxConfig:
    """Configuration of `compress export onnx`."""

    precision: OnnxPrecision = "fp32"
    """fp32; fp16 (half the file, float arithmetic); int8 (a quarter of the file, QDQ with the scales of the .tflite,
    needs --data)."""
    data: Path | None = None
    """Real photos to calibrate int8 on and to check parity with: a CycleGAN folder (its training photos) or any folder
    of images."""
    io_type: OnnxIoType | None = None
    """Values of input and output: float in [-1, 1], or rgb255 (0 to 255, scaled by operators of the file); when not
    given, rgb255 for lens-studio and else float."""
    opset: int | None = None
    """Version of ONNX's operators, 11 to 21; when not given 11, and 13 for int8, whose scales per channel came then."""
    image_size_px: int | None = None
    """Side of the square that the file takes; the source's own size when not given."""
    target: OnnxTarget | None = None
    """lens-studio: nothing outside Snap's list of layers and limits, pixel shuffles as convolutions, and a note on what
    to type at the import."""
    calibration_images: int = 64
    """Number of photos that set the activation ranges of int8."""
    author: str = ""
    """Author of the model, for the file's metadata."""
    license: str = ""
    """Licence of the model, for the file's metadata; a student of someone's teacher inherits its terms."""
    seed: int = 0
    """Random seed for the draw of photos."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1, image_size_px=1)
        if self.precision == "int8" and self.data is None:
            raise UsageError(_INT8_NEEDS_DATA)
        oldest = OLDEST_INT8_OPSET if self.precision == "int8" else OLDEST_OPSET
        if not oldest <= self.resolved_opset <= NEWEST_OPSET:
            why = ", since one scale for each channel came with it" if oldest == OLDEST_INT8_OPSET else ""
            raise UsageError(
                f"opset = {self.opset}, expected {oldest} to {NEWEST_OPSET} for precision {self.precision}{why}. "
                "Leave --opset out."
            )

    @property
    def resolved_opset(self) -> int:
        """The version of operators that is written."""
        if self.opset is not None:
            return self.opset
        return OLDEST_INT8_OPSET if self.precision == "int8" else OLDEST_OPSET

    @property
    def resolved_io_type(self) -> OnnxIoType:
        """The values that input and output hold."""
        return self.io_type or ("rgb255" if self.target == "lens-studio" else "float")

    @property
    def pixel_range(self) -> tuple[float, float]:
        """Values of a black and of a white pixel in the file's input and output."""
        return (-1.0, 1.0) if self.resolved_io_type == "float" else (0.0, 255.0)


@dataclass(frozen=True, kw_only=True)
class TranslateConfig:
    """Configuration of `compress translate`."""

    image_size_px: int | None = None
    """Side of the square that photos are cropped and resized to; the model's own size when not given."""
    threads: int = 2
    """Threads that a .tflite file runs on."""

    def __post_init__(self) -> None:
        require_at_least(self, image_size_px=1, threads=1)


def _check_target(config: TfliteConfig) -> None:
    """Check that a target can take what the other flags ask for."""
    if config.target in ("mediapipe", "lens-studio") and config.other_sizes_px:
        raise UsageError(
            f"other_sizes_px = {config.other_sizes_px[0]}, but --target {config.target} runs a file's usual size "
            "alone. Leave --other-sizes-px out, and write a file for each size."
        )
    if config.target == "mediapipe" and config.io_type == "int8":
        raise UsageError("io_type = int8, but --target mediapipe takes uint8 or float. Pass --io-type uint8.")
    if config.target == "lens-studio" and config.precision != "fp32":
        raise UsageError(
            f"precision = {config.precision}, but Snap's list for --target lens-studio has no DEQUANTIZE, which holds "
            "it. Use --precision fp32."
        )


def _check_other_sizes(sizes: tuple[int, ...]) -> None:
    for size in sizes:
        if size < 1:
            raise UsageError(f"other_sizes_px = {size}, expected at least 1.")
        if sizes.count(size) > 1:
            raise UsageError(f"other_sizes_px = {size} is given {sizes.count(size)} times. Name each size once.")
