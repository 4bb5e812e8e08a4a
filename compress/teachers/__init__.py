"""Teachers: readers of CycleGAN generators in every common format; no code inside a file is ever executed.

A file is read in a child process (`sandbox`, `read`) by the reader of its format into a `description`: plain data. Only
that crosses back, and `build` makes a Keras 3 model of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compress.teachers.reading.config import AS_FOUND, ReadingConfig

if TYPE_CHECKING:
    import keras

    from compress.teachers.description import GeneratorDescription


def load(path: Path, *, reading: ReadingConfig = AS_FOUND) -> keras.Model:
    """Load a generator from a file of any supported format.

    Args:
        path: A Keras 2 or 3 `.h5`, a `.keras`, a PyTorch `.pth` or `.pt`, a `.safetensors`, an `.onnx`, each told by
            its content and not its suffix, a TensorFlow SavedModel directory, or an artifact directory with a
            `model.keras`.
        reading: What the user says about the file.

    Returns:
        A functional model: `(batch, height, width, 3)` float32 in [-1, 1] to the same; height and width are `None`
        where the file takes any size.

    Raises:
        UnusableModel: If the file is missing, torn, of an unknown format, or no image-to-image generator, or if what
            must be known is neither in it nor said.
        UsageError: If what is said does not go with the file.
        ParityError: If it does not make the pictures of `reading.verify`.
    """
    description = describe(path, reading=reading)
    # Keras takes seconds to start: an unusable file is refused before.
    from compress.teachers.build import build_generator

    return build_generator(description)


def describe(path: Path, *, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Read a generator's description as `load` does; a framework is loaded for `reading.verify` alone.

    Raises:
        UnusableModel: As `load`.
        UsageError: As `load`.
        ParityError: As `load`.
    """
    return describe_content(path, reading=reading)[0]


def describe_content(path: Path, *, reading: ReadingConfig = AS_FOUND) -> tuple[GeneratorDescription, str]:
    """Read a generator's description as `describe` does, and the SHA-256 of the file that it was read from.

    Raises:
        UnusableModel: As `load`.
        UsageError: As `load`.
        ParityError: As `load`.
    """
    from compress.teachers.interpretation.read import read_as

    return read_as(_model_file(path), reading)


def _model_file(path: Path) -> Path:
    """Return the file to read: the path itself, or the model of an artifact."""
    from compress.artifact import is_artifact, open_artifact
    from compress.errors import UnusableModel

    if not path.exists():
        raise UnusableModel(f"{path} does not exist; expected a .h5, .keras, .pth, SavedModel or artifact directory.")
    if not is_artifact(path):
        return path
    artifact = open_artifact(path)
    if artifact.manifest.format != "keras":
        raise UnusableModel(f"{path} holds a {artifact.model_path.name}; expected an artifact with a model.keras.")
    return artifact.model_path
