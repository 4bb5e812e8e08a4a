"""A `.tflite` generator in LiteRT: photos in, pictures out, whatever its ends are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner

from compress.errors import UnusableModel
from compress.images import to_float
from export.graph.quantized import TensorScale


@dataclass(frozen=True)
class End:
    """What a file reads or returns."""

    dtype: str
    shape: tuple[int, ...]
    scale: float
    """Of a float end, 0."""
    zero_point: int

    @classmethod
    def of(cls, detail: Mapping[str, Any]) -> "End":
        """Read it off what LiteRT tells of a tensor."""
        scale, zero_point = detail["quantization"]
        return cls(np.dtype(detail["dtype"]).name, tuple(map(int, detail["shape"])), float(scale), int(zero_point))


class TfliteGenerator:
    """A loaded file.

    Args:
        content: The file's bytes.
        name: What to call it in errors.
        threads: Threads to run on.
        size: Height and width of the images to run, of a file that takes several; its usual ones when None.

    Raises:
        UnusableModel: If it is no `.tflite` file, no generator of one image from one image, or does not take `size`.
    """

    def __init__(
        self, content: bytes, *, name: str = "the file", threads: int = 2, size: tuple[int, int] | None = None
    ) -> None:
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnusableModel(f"{name} cannot be loaded by LiteRT: {error}") from error
        self._signature: SignatureRunner | None = None
        self._take(self._interpreter, name)
        signatures = _signatures_by_size(self._interpreter)
        self.sizes: tuple[tuple[int, int], ...] = (self.size, *(each for each in signatures if each != self.size))
        """Height and width of each image that it takes, pixels, the usual one first."""
        if size is not None and size != self.size:
            if size not in signatures:
                raise UnusableModel(f"{name} takes images of {list(self.sizes)} pixels, not of {size}.")
            self._signature = self._interpreter.get_signature_runner(signatures[size])
            self._take(self._signature, name)

    def _take(self, runs: Interpreter | SignatureRunner, name: str) -> None:
        """Note the ends of what is run, which must be images."""
        inputs, outputs = _details(runs.get_input_details()), _details(runs.get_output_details())
        for details in (inputs, outputs):
            if len(details) != 1 or len(details[0]["shape"]) != 4 or details[0]["shape"][3] != 3:
                found = ", ".join(str(list(map(int, detail["shape"]))) for detail in details)
                raise UnusableModel(f"{name} reads or returns {found}; a generator's ends are [1, height, width, 3].")
        self._input, self._output = inputs[0], outputs[0]

    @classmethod
    def open(cls, path: Path, *, threads: int = 2, size: tuple[int, int] | None = None) -> "TfliteGenerator":
        """Load a file from disk."""
        if not path.is_file():
            raise UnusableModel(f"{path} does not exist; expected a .tflite file.")
        return cls(path.read_bytes(), name=str(path), threads=threads, size=size)

    @property
    def ends(self) -> tuple[End, End]:
        """What it reads and what it returns."""
        return End.of(self._input), End.of(self._output)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it runs on, pixels."""
        return _size_of(self._input)

    def run(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return the output `(height, width, 3)` in the file's own type."""
        given = self.to_input(photo)[np.newaxis]
        if self._signature is not None:
            (name,) = self._signature.get_input_details()
            (output,) = self._signature(**{name: given}).values()
            return output[0]
        self._interpreter.set_tensor(self._input["index"], given)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])[0]

    def to_input(self, photo: np.ndarray) -> np.ndarray:
        """Turn a `(height, width, 3)` uint8 photo into what the file reads, in its own type."""
        dtype = self._input["dtype"]
        # A uint8 end takes the camera's bytes as they are.
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
        return output.astype(np.float32)


def _details(found: Any) -> list[Any]:
    """What LiteRT tells of tensors: an interpreter in a list, a signature by name."""
    return list(found.values()) if isinstance(found, Mapping) else list(found)


def _signatures_by_size(interpreter: Interpreter) -> dict[tuple[int, int], str]:
    """A file's signatures by the height and width of the images that they take, pixels."""
    found: dict[tuple[int, int], str] = {}
    for key in filter(None, interpreter.get_signature_list()):
        details = _details(interpreter.get_signature_runner(key).get_input_details())
        if len(details) == 1 and len(details[0]["shape"]) == 4:
            found.setdefault(_size_of(details[0]), key)
    return found


def _size_of(detail: Mapping[str, Any]) -> tuple[int, int]:
    _, height, width, _ = map(int, detail["shape"])
    return height, width
