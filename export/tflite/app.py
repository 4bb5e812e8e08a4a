"""An Android app around an exported `.tflite` file: pick or take a photo, see what the model makes of it.

Its files lie beside this module in `android/` and are copied as they are, but for two with names to fill in.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress import images
from compress.artifact import Artifact
from compress.files.atomic import atomic_dir
from export.sample_project import fill_templates, name_model, quote

_SOURCES = Path(__file__).with_name("android")
_MAIN = Path("app/src/main")
CONTRACT = _MAIN / "kotlin/org/pocketgan/sample/TensorContract.kt"
"""The file of the app that differs between models."""
ASSETS = _MAIN / "assets"
_FILLED = frozenset({CONTRACT, Path("README.md")})


def write_app(
    exported: Artifact, photo: np.ndarray, picture: np.ndarray, out: Path, *, overwrite: bool = False
) -> None:
    """Write the app, a Gradle project in Kotlin.

    Args:
        exported: An artifact with a `.tflite` file.
        photo: Photo that the phone begins with, `(height, width, 3)` uint8 of the file's usual size.
        picture: Picture that the file made of it here, `(height, width, 3)` float32 in [-1, 1].
        out: The folder to write.
        overwrite: Whether it may exist.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    names = _names(exported)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        fill_templates(_SOURCES, scratch, names, filled=_FILLED)
        assets = scratch / ASSETS
        assets.mkdir()
        shutil.copyfile(exported.model_path, assets / "model.tflite")
        images.write_png(assets / "photo.png", photo)
        images.write_png(assets / "expected.png", images.to_uint8(picture))


def _names(exported: Artifact) -> dict[str, object]:
    ends = exported.manifest.input
    black, white = ends.range
    return {**name_model(exported, string_literal), "dtype": ends.dtype, "black": black, "white": white}


def string_literal(text: str) -> str:
    """Write a text as a literal of Kotlin, in which a dollar sign begins a template."""
    return quote(text, special="$", escape=lambda point: "".join(f"\\u{unit:04x}" for unit in _utf16_units(point)))


def _utf16_units(point: int) -> Sequence[int]:
    encoded = chr(point).encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(encoded[place : place + 2], "big") for place in range(0, len(encoded), 2)]
