"""The image that a `.tflite` file reads or returns: its type, and which pixels its numbers stand for.

Whoever wrote a file chose the values of its pixels: -1..1, 0..1 or 0..255. The scale of an integer end tells them
apart. Floats, and int16, whose range is the same on both sides of 0, tell nothing: they are taken for -1..1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.images import to_float
from compress.teachers.description import ValueRange

UNIT_SUFFIX = "_unit"
"""End of the name of a float output whose values lie in 0..1, as `export tflite --target mediapipe` writes it."""

_INTEGERS, _FLOATS = ("int8", "uint8", "int16"), ("float32", "float16")
_BYTES_FROM = 64.0
"""A greatest value above it is that of pixels in 0..255; a generator of the others never gets there."""
_NEAR = 0.1
"""How far an input's range may lie beyond that of its pixels: a calibration or a rounded zero point widens it."""
_NO_DARKNESS = -0.3
"""An output that goes no lower makes pixels in 0..1: in -1..1, it would not have a single dark one."""


@dataclass(frozen=True)
class ImageTensor:
    """The tensor of an image that a file reads or returns."""

    dtype: str
    shape: tuple[int, ...]
    scale: float
    """Step of its integers; 0 for a float tensor, and for bytes that the file itself makes floats of."""
    zero_point: int

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> "ImageTensor":
        """Take over the details that LiteRT gives of a tensor."""
        scale, zero_point = detail["quantization"]
        return cls(np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape"])), float(scale), int(zero_point))

    @property
    def values(self) -> tuple[float, float]:
        """Least and greatest real value that its integers stand for."""
        limits, scale = np.iinfo(self.dtype), self.scale or 1.0
        return (limits.min - self.zero_point) * scale, (limits.max - self.zero_point) * scale


@dataclass(frozen=True)
class ImageCode:
    """How pictures in [-1, 1] and the numbers of a tensor turn into each other."""

    tensor: ImageTensor
    value_range: ValueRange
    """Values of pixels, in real numbers."""

    @classmethod
    def of_input(cls, detail: Mapping[str, Any]) -> "ImageCode":
        """Read the details of an input.

        Raises:
            UnusableModel: If it is of a type that holds no image, or its integers stand for none of the known ranges.
        """
        tensor = _tensor(detail)
        if tensor.dtype in _FLOATS:
            return cls(tensor, "-1..1")
        low, high = tensor.values
        if high > _BYTES_FROM:
            known = -_NEAR * high <= low or tensor.dtype == "int16"
            value_range: ValueRange = "0..255"
        else:
            value_range = "0..1" if abs(low) <= _NEAR else "-1..1"
            known = low >= -1 - _NEAR and 0.5 <= high <= 1 + _NEAR
        if not known:
            raise UnusableModel(
                f"its input's {tensor.dtype} stands for {low:.4g} to {high:.4g}, which are pixels neither in -1..1 nor "
                "in 0..1 nor in 0..255. Put what turns pixels into such values into the model."
            )
        return cls(tensor, value_range)

    @classmethod
    def of_output(cls, detail: Mapping[str, Any]) -> "ImageCode":
        """Read the details of an output, which may go beyond the values of pixels.

        Raises:
            UnusableModel: If it is of a type that holds no image.
        """
        tensor = _tensor(detail)
        if tensor.dtype in _FLOATS:
            return cls(tensor, "0..1" if detail["name"].endswith(UNIT_SUFFIX) else "-1..1")
        low, high = tensor.values
        if high > _BYTES_FROM:
            return cls(tensor, "0..255")
        return cls(tensor, "0..1" if low > _NO_DARKNESS else "-1..1")

    def encode(self, photo: np.ndarray) -> np.ndarray:
        """Turn a uint8 photo into what the tensor holds, of the same shape."""
        if self._holds_bytes:
            return photo
        real = {
            "-1..1": to_float,
            "0..1": lambda photo: photo / np.float32(255),
            "0..255": lambda photo: photo.astype(np.float32),
        }[self.value_range](photo)
        tensor = self.tensor
        if tensor.dtype in _FLOATS:
            return real.astype(tensor.dtype)
        limits = np.iinfo(tensor.dtype)
        integers = np.rint(real / np.float32(tensor.scale)) + tensor.zero_point
        return np.clip(integers, limits.min, limits.max).astype(tensor.dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Turn what the tensor holds into a float32 picture in [-1, 1], of the same shape."""
        if self._holds_bytes:
            return to_float(values)
        real = values.astype(np.float32)
        if self.tensor.dtype in _INTEGERS:
            real = (real - self.tensor.zero_point) * np.float32(self.tensor.scale)
        if self.value_range == "0..1":
            return real * 2 - 1
        return real / np.float32(127.5) - 1 if self.value_range == "0..255" else real

    @property
    def _holds_bytes(self) -> bool:
        """True of uint8 whose 0 is black and whose 255 is white, to a step and a half: a camera's bytes as they are."""
        if self.tensor.dtype != "uint8":
            return False
        black, white = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}[self.value_range]
        low, high = self.tensor.values
        return max(abs(low - black), abs(high - white)) <= 1.5 * (self.tensor.scale or 1.0)


def _tensor(detail: Mapping[str, Any]) -> ImageTensor:
    """Return the tensor of an image.

    Raises:
        UnusableModel: If its type holds none, or its integers have no scale, or several.
    """
    tensor = ImageTensor.from_detail(detail)
    if tensor.dtype not in (*_INTEGERS, *_FLOATS):
        raise UnusableModel(f"its {detail['name']} is of type {tensor.dtype}; images are float, int8, uint8 or int16.")
    scales = len(detail["quantization_parameters"]["scales"])
    if scales > 1:
        raise UnusableModel(f"its {detail['name']} has {scales} scales, one a channel; an image has one.")
    if tensor.dtype in _INTEGERS and not tensor.scale and tensor.dtype != "uint8":
        raise UnusableModel(f"its {detail['name']} is {tensor.dtype} without a scale, so that nobody knows its pixels.")
    return tensor
