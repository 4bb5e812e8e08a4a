"""A Swift package around an exported model, which runs it and times it on an iPhone or a Mac.

Its files lie beside this module in `swift/` and are copied as they are, but for three with names to fill in.
"""

import shutil
from pathlib import Path
from string import Template

import numpy as np

from compress import images
from compress.artifact import Artifact, file_fingerprint
from compress.errors import UsageError
from compress.files.apart import require_apart
from compress.files.atomic import atomic_dir, refuse_existing

_SOURCES = Path(__file__).with_name("swift")
_LIBRARY = Path("Sources/PocketGenerator")
_FILLED = frozenset({Path("Package.swift"), Path("README.md"), _LIBRARY / "ExportedModel.swift"})
_PLATFORMS = {True: {"ios": 17, "macos": 14}, False: {"ios": 16, "macos": 13}}
"""The oldest systems that run the model, by whether its activations are int8."""


def check_place(kit: Path, artifact: Path, source: Path, *, overwrite: bool) -> None:
    """Check that a Swift package may be written to a folder.

    Raises:
        UsageError: If `kit` exists and `overwrite` is false, if it holds `source`, or if one of `kit` and `artifact`
            holds the other.
    """
    require_apart([kit], [source])
    refuse_existing(kit, overwrite=overwrite)
    ours, other = kit.resolve(), artifact.resolve()
    if ours.is_relative_to(other) or other.is_relative_to(ours):
        raise UsageError(f"{kit} and {artifact} lie in one another. Pass --swift a folder beside --out.")


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
        for source in sorted(path for path in _SOURCES.rglob("*") if path.is_file()):
            place = source.relative_to(_SOURCES)
            text = source.read_text(encoding="utf-8")
            target = scratch / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(text).substitute(names) if place in _FILLED else text, encoding="utf-8")
        resources = scratch / _LIBRARY
        shutil.copytree(exported.model_path, resources / "model.mlpackage")
        (resources / "photo.bgra").write_bytes(_blue_green_red(photo))
        (resources / "expected.bgra").write_bytes(_blue_green_red(images.to_uint8(picture)))


def _names(exported: Artifact) -> dict[str, object]:
    manifest = exported.manifest
    height, width, _ = manifest.input.shape
    others = manifest.config.get("other_sizes_px", ())
    precision = str(manifest.config["precision"])
    return {
        "title": " ".join(manifest.name.split()),
        "name": string_literal(manifest.name),
        "precision": precision,
        "package_sha256": file_fingerprint(exported.model_path),
        "size_bytes": manifest.cost.size_bytes,
        "size_kb": f"{manifest.cost.size_bytes / 1e3:.0f}",
        "height_px": height,
        "width_px": width,
        "sizes": " or ".join([f"{width}x{height}", *(f"{side}x{side}" for side in others)]),
        **_PLATFORMS[precision == "int8"],
    }


def string_literal(text: str) -> str:
    """Write a text as a literal of Swift, in which a backslash also begins an interpolation."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(letter: str) -> str:
    if letter in '\\"':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _blue_green_red(pixels: np.ndarray) -> bytes:
    """Return `(height, width, 3)` uint8 as the rows of kCVPixelFormatType_32BGRA."""
    opaque = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    return np.concatenate([pixels[..., ::-1], opaque], axis=-1).tobytes()
