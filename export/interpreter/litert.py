"""A `.tflite` generator in LiteRT: photos in, pictures out, whatever types it reads and returns."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner

from compress.errors import UnusableModel
from compress.images import to_float
from export.graph.quantized import TensorScale
from export.interpreter.checked_file import check_file

UNIT_SUFFIX = "_unit"
"""End of the name of a float output whose values lie in 0..1, as `export tflite --target mediapipe` writes it."""


@dataclass(frozen=True)
class ImageTensor:
    """The tensor of an image that a file reads or returns."""

    dtype: str
    shape: tuple[int, ...]
    scale: float
    """Step of its integers; 0 for a float tensor."""
    zero_point: int

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> "ImageTensor":
        """Take over the details that LiteRT gives of a tensor."""
        scale, zero_point = detail["quantization"]
        return cls(np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape"])), float(scale), int(zero_point))


class TfliteGenerator:
    """A loaded file, which runs at its usual size; `at_size` gives its other sizes.

    Args:
        content: The file's bytes.
        name: The file as errors call it.
        threads: Threads to run on.

    Raises:
        UnusableModel: If it is no `.tflite` file, or no generator of one image from one image.
    """

    def __init__(self, content: bytes, *, name: str = "the file", threads: int = 2, unit_output: bool = False) -> None:
        self._name, self._unit_output = name, unit_output
        try:
            self.interpreter = Interpreter(model_content=content, num_threads=threads)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnusableModel(f"{name} cannot be loaded by LiteRT: {error}") from error
        self._signature: SignatureRunner | None = None
        self._read_details(self.interpreter)
        self._signatures = _signatures_by_size(self.interpreter)
        self.sizes: tuple[tuple[int, int], ...] = (self.size, *(each for each in self._signatures if each != self.size))
        """Height and width of each image that it takes, pixels, the usual one first."""

    @classmethod
    def open(cls, path: Path, *, threads: int = 2) -> "TfliteGenerator":
        """Load a file from disk, which a child process has opened and run before."""
        check_file(path)
        return cls(path.read_bytes(), name=str(path), threads=threads)

    def at_size(self, size: tuple[int, int]) -> "TfliteGenerator":
        """Return the same loaded file, running at one of its sizes.

        Args:
            size: Height and width, pixels.

        Raises:
            UnusableModel: If the file does not take that size.
        """
        if size == self.size:
            return self
        if size not in self.sizes:
            raise UnusableModel(f"{self._name} takes images of {list(self.sizes)} pixels, not of {size}.")
        other = copy.copy(self)
        is_usual = size == self.sizes[0]
        other._signature = None if is_usual else self.interpreter.get_signature_runner(self._signatures[size])
        other._read_details(other._signature or self.interpreter)
        return other

    def _read_details(self, runs: Interpreter | SignatureRunner) -> None:
        """Note the input and the output of what is run, which must be images."""
        inputs, outputs = _details(runs.get_input_details()), _details(runs.get_output_details())
        for details in (inputs, outputs):
            if len(details) != 1 or len(details[0]["shape"]) != 4 or details[0]["shape"][3] != 3:
                found = ", ".join(str(list(map(int, detail["shape"]))) for detail in details)
                raise UnusableModel(
                    f"{self._name} reads or returns {found}; a generator reads and returns [1, height, width, 3]."
                )
        self._input, self._output = inputs[0], outputs[0]

    @property
    def input(self) -> ImageTensor:
        """The image that it reads."""
        return ImageTensor.from_detail(self._input)

    @property
    def output(self) -> ImageTensor:
        """The image that it returns."""
        return ImageTensor.from_detail(self._output)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it runs on, pixels."""
        return _size_of(self._input)

    def run(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return the output `(height, width, 3)` in the file's own type."""
        values = self.to_input(photo)[np.newaxis]
        if self._signature is not None:
            (name,) = self._signature.get_input_details()
            (output,) = self._signature(**{name: values}).values()
            return output[0]
        self.interpreter.set_tensor(self._input["index"], values)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self._output["index"])[0]

    def to_input(self, photo: np.ndarray) -> np.ndarray:
        """Turn a `(height, width, 3)` uint8 photo into what the file reads, in its own type."""
        dtype = self._input["dtype"]
        # A uint8 file takes the camera's bytes as they are.
        if dtype == np.uint8:
            return photo
        values = to_float(photo)
        if dtype == np.int8:
            return TensorScale(*self._input["quantization"]).quantize(values)
        return values.astype(dtype)

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float picture in [-1, 1]."""
        return self.to_picture(self.run(photo))

    def to_picture(self, output: np.ndarray) -> np.ndarray:
        """Turn what `run` returned into a float picture in [-1, 1]."""
        if output.dtype == np.uint8:
            return to_float(output)
        if output.dtype == np.int8:
            return TensorScale(*self._output["quantization"]).dequantize(output)
        picture = output.astype(np.float32)
        return picture * 2 - 1 if self._output["name"].endswith(UNIT_SUFFIX) else picture


def _details(found: Any) -> list[Any]:
    """Return the details of tensors as a list: an interpreter gives one, a signature a dictionary."""
    return list(found.values()) if isinstance(found, Mapping) else list(found)


def _signatures_by_size(interpreter: Interpreter) -> dict[tuple[int, int], str]:
    """Return a file's signatures by the height and width of the images that they take, pixels."""
    found: dict[tuple[int, int], str] = {}
    for key in filter(None, interpreter.get_signature_list()):
        details = _details(interpreter.get_signature_runner(key).get_input_details())
        if len(details) == 1 and len(details[0]["shape"]) == 4:
            found.setdefault(_size_of(details[0]), key)
    return found


def _size_of(detail: Mapping[str, Any]) -> tuple[int, int]:
    _, height, width, _ = map(int, detail["shape"])
    return height, width
