"""A Swift package around an exported model, which runs it and times it on an iPhone or a Mac.

Its files lie beside this module in `swift/` and are copied as they are, but for three with names to fill in.
"""

import shutil
from pathlib import Path

import numpy as np

from compress import images
from compress.artifact import Artifact
from compress.files.atomic import atomic_dir
from export.sample_project import fill_templates, name_model, quote

_SOURCES = Path(__file__).with_name("swift")
_LIBRARY = Path("Sources/PocketGenerator")
_FILLED = frozenset({Path("Package.swift"), Path("README.md"), _LIBRARY / "ExportedModel.swift"})
_PLATFORMS = {True: {"ios": 17, "macos": 14}, False: {"ios": 16, "macos": 13}}
"""The oldest systems that run the model, by whether its activations are int8."""


def write_kit(
    exported: Artifact, photo: np.ndarray, picture: np.ndarray, out: Path, *, overwrite: bool = False
) -> None:
    """Write the Swift package.

    Args:
        exported: An artifact with a Core ML package.
        photo: Photo that the device gives the model, `(height, width, 3)` uint8 of its size.
        picture: Picture that the export got of it, `(height, width, 3)` float32 in [-1, 1].
        out: The folder to write.
        overwrite: Whether it may exist.

    Raises:
        UsageError: If `out` exists and `overwrite` is false.
    """
    names = _names(exported)
    with atomic_dir(out, overwrite=overwrite) as scratch:
        fill_templates(_SOURCES, scratch, names, filled=_FILLED)
        resources = scratch / _LIBRARY
        shutil.copytree(exported.model_path, resources / "model.mlpackage")
        (resources / "photo.bgra").write_bytes(_blue_green_red(photo))
        (resources / "expected.bgra").write_bytes(_blue_green_red(images.to_uint8(picture)))


def _names(exported: Artifact) -> dict[str, object]:
    manifest = exported.manifest
    height, width, _ = manifest.input.shape
    others = manifest.config.get("other_sizes_px", ())
    return {
        **name_model(exported, string_literal),
        "sizes": " or ".join([f"{width}x{height}", *(f"{side}x{side}" for side in others)]),
        **_PLATFORMS[manifest.config["precision"] == "int8"],
    }


def string_literal(text: str) -> str:
    """Write a text as a literal of Swift, in which a backslash also begins an interpolation."""
    return quote(text, special="", escape=lambda point: f"\\u{{{point:x}}}")


def _blue_green_red(pixels: np.ndarray) -> bytes:
    """Return `(height, width, 3)` uint8 as the rows of kCVPixelFormatType_32BGRA."""
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return np.concatenate([pixels[..., ::-1], opaque], axis=-1).tobytes()
