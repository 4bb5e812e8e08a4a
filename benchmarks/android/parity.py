"""Parity of a phone's picture with this machine's: one photo through the same file on both."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.images import read_image
from export.interpreter.litert import TfliteGenerator

_LEVELS_PER_UNIT = 127.5
"""Steps of 255 levels in a unit of floats in [-1, 1]."""


@dataclass(frozen=True, kw_only=True)
class DeviceParity:
    """Difference of two outputs in steps: of the file's integers or, for a float file, of 255 levels."""

    largest_step: float | None
    """None where the phone's output holds NaN or infinity."""
    share_within_a_step: float

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON holds it."""
        return asdict(self)


class HostOutput:
    """One photo as a model's input, and the output of this machine.

    Args:
        model: The `.tflite` file.
        photo: A photo of any size; it is cropped and resized to the model's.

    Raises:
        UnusableModel: If the file is no generator of one image from one image.
        UnusableData: If the photo cannot be read.
    """

    def __init__(self, model: Path, photo: Path) -> None:
        generator = TfliteGenerator.open(model)
        generator.require_single_images()
        pixels = read_image(photo, generator.size)
        self.input = generator.to_input(pixels)
        self._expected = generator.run(pixels)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input, batch first."""
        return (1, *self.input.shape)

    def compare(self, content: bytes) -> DeviceParity:
        """Compare with the output that the phone wrote.

        Raises:
            ValueError: If it is not as long as this machine's output.
        """
        if len(content) != self._expected.nbytes:
            raise ValueError(f"the phone wrote {len(content)} bytes, expected {self._expected.nbytes}")
        output = np.frombuffer(content, self._expected.dtype).reshape(self._expected.shape)
        steps = np.abs(output.astype(np.float64) - self._expected.astype(np.float64))
        if self._expected.dtype.kind == "f":
            steps *= _LEVELS_PER_UNIT
        largest = float(steps.max())
        return DeviceParity(
            largest_step=largest if np.isfinite(largest) else None, share_within_a_step=float((steps <= 1).mean())
        )
