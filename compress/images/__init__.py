"""Images: files to uint8 RGB arrays and back, pixel ranges and PSNR.

In memory an image is `(height, width, 3)` uint8 sRGB. A generator sees float32 in [-1, 1]: -1 is black, 1 is white.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from PIL import Image

from compress.errors import UnusableData
from compress.images import colour
from compress.images.decoding import Layers, Size, decode_file, decode_layers, open_image, read_image_size
from compress.images.folder import list_images, require_distinct_stems
from compress.images.sheet import contact_sheet

__all__ = [
    "BROKEN_TOLERANCE",
    "Layers",
    "Size",
    "contact_sheet",
    "has_colours_to_convert",
    "list_images",
    "psnr_db",
    "read_each",
    "read_each_layers",
    "read_image",
    "read_image_size",
    "read_images",
    "read_layers",
    "require_distinct_stems",
    "to_float",
    "to_uint8",
    "write_png",
]

BROKEN_TOLERANCE = 0.01
"""Share of broken files in a folder that are skipped, each named in the log; more is an error."""

_BROKEN_NAMED = 10
_LOOKED_THROUGH = 2000
"""Images of a folder with too many broken ones that are looked through for more."""
_Read = TypeVar("_Read")
_log = logging.getLogger(__name__)
_faults_said: set[str] = set()
"""What was said of colour profiles."""


def read_image(path: Path, size: Size | None = None) -> np.ndarray:
    """Read one image, upright and in sRGB.

    Args:
        path: A file of a format that is read here, told by its content: greyscale, palette, CMYK, transparent (on
            white), 16-bit, EXIF-rotated or animated (its first frame) as it may be. A colour profile is followed; one
            that cannot be used is told in the log, and the image taken as sRGB.
        size: Size to crop and resize to: the largest centred part of that shape, by Lanczos; None keeps all.

    Returns:
        `(height, width, 3)` uint8.

    Raises:
        UnusableData: If the file is broken, or would take more memory than `LARGEST_DECODED_BYTES` to decode. A JPEG is
            decoded at a fraction of its size where it is to be made small.
    """
    image, fault = decode_file(path, size)
    _say_once(path, fault)
    return image


def read_layers(path: Path) -> Layers:
    """Read one image as `read_image` does, whole, its transparency apart instead of on white.

    Returns:
        Its colours and its transparency; None where the file has none.

    Raises:
        UnusableData: See `read_image`.
    """
    layers, fault = decode_layers(path)
    _say_once(path, fault)
    return layers


def _say_once(path: Path, fault: str | None) -> None:
    if fault is not None and fault not in _faults_said:
        _faults_said.add(fault)
        _log.warning("%s: its colour profile cannot be used (%s); it and others like it are read as sRGB", path, fault)


def has_colours_to_convert(path: Path) -> bool:
    """Return whether an image carries a colour profile that is not sRGB's and is followed; False if it is broken."""
    try:
        with open_image(path) as opened:
            return colour.changes_pixels(opened)
    except UnusableData:
        return False


def read_images(paths: Sequence[Path], size: Size | None = None) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield each path with its image; broken files are named in the log and skipped.

    Raises:
        UnusableData: As soon as more than `BROKEN_TOLERANCE` of them are broken, naming those found so far; with fewer
            than two hundred files, if more than one is. A single file has to be whole.
    """
    return read_each(paths, lambda path: decode_file(path, size))


def read_each_layers(paths: Sequence[Path]) -> Iterator[tuple[Path, Layers]]:
    """Yield each path with what `read_layers` returns; broken files are skipped as `read_images` does.

    Raises:
        UnusableData: See `read_images`.
    """
    return read_each(paths, decode_layers)


def read_each(
    paths: Sequence[Path], decode: Callable[[Path], tuple[_Read, str | None]]
) -> Iterator[tuple[Path, _Read]]:
    """Yield each path with what a function makes of it; broken files are skipped as `read_images` does.

    Args:
        paths: The files.
        decode: Called once for each of them, in their order; returns what it made, and why a colour profile could not
            be used, if it could not. Raises `UnusableData` for a broken file.

    Raises:
        UnusableData: See `read_images`.
    """
    allowed = max(1, int(len(paths) * BROKEN_TOLERANCE)) if len(paths) > 1 else 0
    broken: list[UnusableData] = []
    faults: list[str] = []
    for place, path in enumerate(paths):
        try:
            image, fault = decode(path)
        except UnusableData as error:
            broken.append(error)
            if len(broken) > allowed:
                rest = paths[place + 1 : place + 1 + _LOOKED_THROUGH]
                broken += _find_broken(rest, decode)
                raise UnusableData(_too_many_broken(broken, len(paths))) from error
            _log.warning("skipped: %s", error)
            continue
        if fault is not None:
            faults.append(f"{path}: {fault}")
        yield path, image
    if faults:
        _log.warning(
            "%d of %d images carry a colour profile that cannot be used, and were read as sRGB, the first %s",
            len(faults),
            len(paths),
            faults[0],
        )


def to_float(images: np.ndarray) -> np.ndarray:
    """Convert uint8 [0, 255] to float32 [-1, 1]."""
    # In place: a third of the time of one new array for each operation.
    pixels = images.astype(np.float32)
    pixels /= 127.5
    pixels -= 1.0
    return pixels


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Convert float [-1, 1] to uint8 [0, 255], rounded to nearest; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images, dtype=np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def psnr_db(difference: np.ndarray, *, peak: float = 2.0) -> float:
    """Return the peak signal-to-noise ratio of images from their difference, in dB; infinite where they are equal.

    Args:
        difference: One image, or a batch of images, minus another; of any shape and a signed type.
        peak: Span of the pixel range: 2 for [-1, 1], 255 for uint8 images.
    """
    error = float(np.square(difference, dtype=np.float64).mean())
    return float(10 * np.log10(peak**2 / error)) if error != 0 else math.inf


def write_png(path: Path | BinaryIO, image: np.ndarray) -> None:
    """Write a `(height, width, 3)` uint8 image as PNG."""
    Image.fromarray(image).save(path, format="PNG", compress_level=1)


def _find_broken(paths: Iterable[Path], decode: Callable[[Path], object]) -> Iterator[UnusableData]:
    """Find all broken images at once, or whoever deletes one meets the next."""
    for path in paths:
        try:
            decode(path)
        except UnusableData as error:
            yield error


def _too_many_broken(broken: Sequence[UnusableData], total: int) -> str:
    named = "\n".join(str(error) for error in broken[:_BROKEN_NAMED])
    more = f"\nand {len(broken) - _BROKEN_NAMED} more" if len(broken) > _BROKEN_NAMED else ""
    return (
        f"{len(broken)} of {total} images cannot be read, more than the {BROKEN_TOLERANCE:.0%} that is skipped. "
        f"Replace or delete them:\n{named}{more}"
    )
