"""A `.tflite` generator in LiteRT: photos in, pictures out, whatever types it reads and returns."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, SignatureRunner

from compress.artifact import is_artifact, open_artifact
from compress.errors import UnusableModel
from export.interpreter.checked_file import check_file
from export.interpreter.image_tensor import ImageCode, ImageTensor
from export.interpreter.open_file import choose_size, format_shape, has_free_size


class TfliteGenerator:
    """A loaded file, which runs at its usual size; `at_size` gives its other sizes.

    Args:
        content: The file's bytes.
        name: The file as errors call it.
        threads: Threads to run on.
        size: Height and width to run a file of any size at, pixels.

    Raises:
        UnusableModel: If it is no `.tflite` file, no generator of one image from one image, or takes images of any size
            and none is given.
    """

    def __init__(
        self, content: bytes, *, name: str = "the file", threads: int = 2, size: tuple[int, int] | None = None
    ) -> None:
        self._name = name
        try:
            self.interpreter = Interpreter(model_content=content, num_threads=threads)
            if size is not None:
                choose_size(self.interpreter, size)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UnusableModel(f"{name} cannot be loaded by LiteRT: {error}") from error
        self._signature: SignatureRunner | None = None
        self._read_details(self.interpreter)
        self._signatures = _signatures_by_size(self.interpreter)
        self.sizes: tuple[tuple[int, int], ...] = (self.size, *(each for each in self._signatures if each != self.size))
        """Height and width of each image that it takes, pixels, the usual one first."""

    @classmethod
    def open(cls, path: Path, *, threads: int = 2, size: tuple[int, int] | None = None) -> "TfliteGenerator":
        """Load a file from disk, which a child process has opened and run before."""
        check_file(path, size)
        return cls(path.read_bytes(), name=str(path), threads=threads, size=size)

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
        if has_free_size(self._input):
            raise UnusableModel(
                f"{self._name} takes images of any size ({format_shape(self._input)}). Choose one with --image-size-px "
                "where the command has it, or write the file for one size."
            )
        try:
            self._encoding, self._decoding = ImageCode.of_input(self._input), ImageCode.of_output(self._output)
        except UnusableModel as error:
            raise UnusableModel(f"{self._name}: {error}") from error

    @property
    def input(self) -> ImageTensor:
        """The image that it reads."""
        return self._encoding.tensor

    @property
    def output(self) -> ImageTensor:
        """The image that it returns."""
        return self._decoding.tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image that it runs on, pixels."""
        return _size_of(self._input)

    @property
    def batch(self) -> int:
        """How many images it reads at a time; each photo fills all of them."""
        return int(self._input["shape"][0])

    def require_single_images(self) -> None:
        """Check that it reads one image at a time, for who feeds it elsewhere.

        Raises:
            UnusableModel: If it reads several.
        """
        if self.batch != 1:
            raise UnusableModel(f"{self._name} reads {self.batch} images at a time; write it for one.")

    def run(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return the output `(height, width, 3)` in the file's own type."""
        values = self.to_input(photo)[np.newaxis].repeat(self.batch, axis=0)
        if self._signature is not None:
            (name,) = self._signature.get_input_details()
            (output,) = self._signature(**{name: values}).values()
            return output[0]
        self.interpreter.set_tensor(self._input["index"], values)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self._output["index"])[0]

    def to_input(self, photo: np.ndarray) -> np.ndarray:
        """Turn a `(height, width, 3)` uint8 photo into what the file reads, in its own type."""
        return self._encoding.encode(photo)

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Feed a `(height, width, 3)` uint8 photo; return a float picture in [-1, 1]."""
        return self.to_picture(self.run(photo))

    def to_picture(self, output: np.ndarray) -> np.ndarray:
        """Turn what `run` returned into a float picture in [-1, 1]."""
        return self._decoding.decode(output)


def find_tflite(source: Path) -> Path | None:
    """Return the `.tflite` file that a path is, or that an artifact holds; None where it is something else.

    Raises:
        UnusableArtifact: If an artifact is torn.
    """
    if is_artifact(source):
        artifact = open_artifact(source)
        return artifact.model_path if artifact.manifest.format == "tflite" else None
    return source if source.suffix == ".tflite" else None


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
