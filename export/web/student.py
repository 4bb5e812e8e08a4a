"""The student of a page: a `.tflite` file that LiteRT.js can feed, and what its numbers mean."""

import re
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from compress.artifact import is_artifact, open_artifact
from compress.errors import PocketGANError, UnusableModel, UsageError
from compress.faces.template import AlignmentTemplate
from compress.images import to_uint8
from compress.teachers.reading.content import find_content
from export.alignment import find_template
from export.config import TfliteConfig
from export.interpreter.litert import TfliteGenerator, find_tflite
from export.tflite.stage import export_tflite
from export.web.config import WebConfig
from export.web.runnable import require_runnable

_WHITE = 255
_OWN_FLAGS = {f"--{each.name.replace('_', '-')}" for each in fields(WebConfig)}


@dataclass(frozen=True, kw_only=True)
class Student:
    """A file that runs in a page."""

    name: str
    content: bytes
    generator: TfliteGenerator
    template: AlignmentTemplate | None
    """Where faces lie in what it was trained on, where that is recorded."""

    @property
    def size_px(self) -> int:
        """Side of the square that it takes."""
        return self.generator.size[0]

    def describe(self, file: str) -> dict[str, Any]:
        """Return what a page has to know to run it, JSON-ready: LiteRT.js tells neither scales nor what white is."""
        return {
            "file": file,
            "size_bytes": len(self.content),
            "input": _describe_input(self.generator),
            "output": _describe_output(self.generator),
        }

    def translate(self, photo: np.ndarray) -> np.ndarray:
        """Return what it makes of a photo; both `(size, size, 3)` uint8."""
        return to_uint8(self.generator.translate(photo))


def load_student(source: Path, config: WebConfig) -> Student:
    """Load a student for a page.

    Args:
        source: A `.tflite` file or an artifact of one; or what is still to be exported, where `config` names photos.
        config: The photos to calibrate on.

    Raises:
        UsageError: If `source` is not exported yet and there are no photos, or it is and there are.
        UnusableModel: If it is no generator of square images, or LiteRT.js cannot feed it.
        UnusableArtifact: If an artifact is torn.
    """
    file = find_tflite(source)
    if file is not None:
        if config.data is not None:
            raise UsageError(f"{source} is exported already; --data is for what is not. Leave it out.")
        return _open(file, _name(source), find_template(file), said=source)
    _require_model(source)
    if config.data is None:
        raise UsageError(
            f"{source} is not exported yet. Pass --data with a folder of photos, on which int8 is calibrated,\n"
            "or give what `compress export tflite --precision int8 --io-type uint8` wrote."
        )
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        wanted = TfliteConfig(
            precision="int8", io_type="uint8", data=config.data, calibration_images=config.calibration_images
        )
        try:
            exported = export_tflite(source, wanted, Path(scratch) / "student")
        except PocketGANError as error:
            raise _with_command(error, source) from error
        return _open(exported.model_path, _name(source), find_template(exported.model_path), said=source)


def _require_model(source: Path) -> None:
    """Check that a file may hold a generator.

    Raises:
        UnusableModel: If it is a picture, a text or the like, or empty.
    """
    if not source.is_file():
        return
    try:
        find_content(source)
    except UnusableModel as error:
        raise UnusableModel(f"{source}: {error}") from error


def _with_command(error: PocketGANError, source: Path) -> PocketGANError:
    """Return an error of the export, with the command that has the flag where it names one that a page's has not."""
    flags = set(re.findall(r"--[a-z][a-z-]+", str(error))) - _OWN_FLAGS
    if not flags:
        return error
    has = f"`compress export tflite {source}` has {', '.join(sorted(flags))}, this command has not"
    return type(error)(f"{error}\n{has}. Run that, with --io-type uint8 or float, and give what it writes.")


def _name(source: Path) -> str:
    return open_artifact(source).manifest.name if is_artifact(source) else source.stem


def _open(file: Path, name: str, template: AlignmentTemplate | None, *, said: Path) -> Student:
    generator = TfliteGenerator.open(file, threads=1)
    require_runnable(generator, said)
    height, width = generator.size
    if height != width or generator.input.shape != generator.output.shape or generator.input.shape[0] != 1:
        raise UnusableModel(
            f"{said} makes {list(generator.output.shape)} of {list(generator.input.shape)}; expected one square image "
            "of one."
        )
    return Student(name=name, content=file.read_bytes(), generator=generator, template=template)


def _describe_input(generator: TfliteGenerator) -> dict[str, Any]:
    """Return an input's type and shape, and the values that it takes for black and for white."""
    shape = (*generator.size, 3)
    black, white = (float(generator.to_input(np.full(shape, v, np.uint8)).flat[0]) for v in (0, _WHITE))
    return {"dtype": generator.input.dtype, "shape": list(generator.input.shape), "black": black, "white": white}


def _describe_output(generator: TfliteGenerator) -> dict[str, Any]:
    """Return an output's type, and the values that it gives for black and for white."""
    dtype = np.dtype(generator.output.dtype)
    # Pictures are linear in an output's values, so two of them tell.
    at_0, at_1 = generator.to_picture(np.array([0, 1], dtype)).astype(np.float64).tolist()
    step = at_1 - at_0
    black, white = ((pixel - at_0) / step for pixel in (-1.0, 1.0))
    if dtype.kind == "u":
        black, white = float(round(black)), float(round(white))
    return {"dtype": dtype.name, "black": black, "white": white}
