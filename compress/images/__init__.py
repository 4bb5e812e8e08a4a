"""Images: files to uint8 RGB arrays and back, pixel ranges and PSNR.

In memory an image is `(height, width, 3)` uint8 RGB. A generator sees float32 in [-1, 1]: -1 is black, 1 is white.
"""

import io
import logging
import math
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from compress.errors import UnusableData
from compress.images import memory
from compress.images.memory import LARGEST_DECODED_BYTES, LARGEST_FILE_BYTES

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
BROKEN_TOLERANCE = 0.01
"""Share of broken files in a folder that are skipped, each named in the log; more is an error."""

Size = int | tuple[int, int]
"""Side of a square, or `(height, width)`; pixels."""

_FORMATS = ("PNG", "WEBP", "GIF")
"""Formats beside JPEG. They are named, since Pillow's others include some that start programs of the system: EPS."""
_LIMIT = f"at most {LARGEST_DECODED_BYTES / 1e6:.0f} MB of memory are taken for an image. Scale it down."
_TILE_PX = 512
_BROKEN_NAMED = 10
_JPEG_MAGIC = b"\xff\xd8\xff"
_ORIENTATION_TAG = 0x0112
_FIRST_SIDEWAYS = 5
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Transposition that brings an image of each EXIF orientation upright; from 5 on, it swaps height and width."""

_log = logging.getLogger(__name__)


def list_images(folder: Path) -> list[Path]:
    """List the image files of a folder, sorted by name; hidden ones are left out, as macOS puts `._x.jpg` beside x.jpg.

    Raises:
        UnusableData: If the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise UnusableData(f"{folder} is no folder; expected one with JPEG, PNG or WebP images.")
    paths = sorted(path for path in folder.iterdir() if _is_named_as_image(path) and path.is_file())
    if not paths:
        raise UnusableData(f"{folder} holds no image; expected files that end in {', '.join(sorted(SUFFIXES))}.")
    return paths


def read_image(path: Path, size: Size | None = None) -> np.ndarray:
    """Read one image, upright and in RGB.

    Args:
        path: A JPEG, PNG or WebP file, told by its content: greyscale, palette, CMYK, transparent (on white), 16-bit,
            EXIF-rotated or animated (its first frame) as it may be.
        size: Size to crop and resize to: the largest centred part of that shape, by Lanczos; None keeps all.

    Returns:
        `(height, width, 3)` uint8.

    Raises:
        UnusableData: If the file is broken, or would take more memory than `LARGEST_DECODED_BYTES` to decode. A JPEG is
            decoded at a fraction of its size where it is to be made small.
    """
    with _opened(path) as opened:
        image = _decode(opened, size, path)
    if size is None:
        return _to_array(image)
    height, width = _height_width(size)
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS), dtype=np.uint8)


def read_image_size(path: Path) -> tuple[int, int]:
    """Read height and width of an upright image, in pixels, from its header alone: the pixels may be broken.

    Raises:
        UnusableData: If the header is broken.
    """
    with _opened(path) as opened:
        # Pillow decodes a PNG that begins without EXIF data, as nearly all do, to look for it behind the pixels.
        is_upright = isinstance(opened, PngImageFile) and "exif" not in opened.info
        is_sideways = not is_upright and _orientation(opened) >= _FIRST_SIDEWAYS
        width, height = opened.size
    return (width, height) if is_sideways else (height, width)


def read_images(paths: Sequence[Path], size: Size | None = None) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield each path with its image; broken files are named in the log and skipped.

    Raises:
        UnusableData: As soon as more than `BROKEN_TOLERANCE` of them are broken, naming those found so far; with fewer
            than two hundred files, if more than one is. A single file has to be whole.
    """
    allowed = max(1, int(len(paths) * BROKEN_TOLERANCE)) if len(paths) > 1 else 0
    broken: list[UnusableData] = []
    for path in paths:
        try:
            image = read_image(path, size)
        except UnusableData as error:
            broken.append(error)
            if len(broken) > allowed:
                raise UnusableData(_too_many_broken(broken, len(paths))) from error
            _log.warning("skipped: %s", error)
            continue
        yield path, image


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


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], *, gap_px: int = 4, cell_px: int | None = None) -> np.ndarray:
    """Lay images of one size out in rows on white, pixel by pixel: none is scaled.

    Args:
        rows: Each a sequence of `(height, width, 3)` uint8 images; all rows equally long.
        gap_px: White space between images, pixels.
        cell_px: Greatest height and width of an image on the sheet; the middle is cut out of larger ones.

    Returns:
        `(height, width, 3)` uint8.
    """
    if cell_px is not None:
        rows = [[_cut_middle(image, cell_px) for image in row] for row in rows]
    height, width, _ = rows[0][0].shape
    sheet = np.full(
        (len(rows) * (height + gap_px) + gap_px, len(rows[0]) * (width + gap_px) + gap_px, 3), 255, dtype=np.uint8
    )
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = gap_px + row * (height + gap_px), gap_px + column * (width + gap_px)
            sheet[top : top + height, left : left + width] = image
    return sheet


def _cut_middle(image: np.ndarray, side_px: int) -> np.ndarray:
    top, left = (max(0, (side - side_px) // 2) for side in image.shape[:2])
    return image[top : top + side_px, left : left + side_px]


def _height_width(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _is_named_as_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _too_many_broken(broken: Sequence[UnusableData], total: int) -> str:
    named = "\n".join(str(error) for error in broken[:_BROKEN_NAMED])
    more = f"\nand {len(broken) - _BROKEN_NAMED} more" if len(broken) > _BROKEN_NAMED else ""
    return (
        f"{len(broken)} of {total} images cannot be read, more than the {BROKEN_TOLERANCE:.0%} that is skipped. "
        f"Replace or delete them:\n{named}{more}"
    )


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings of large images and torn metadata; both are handled here, by limits of our own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(path: Path) -> Iterator[ImageFile]:
    """Open an image without decoding it; what Pillow raises, then or later, becomes an error that names the file."""
    try:
        with _quiet_pillow(), _open(path) as opened:
            yield opened
    # Pillow's own limit, of header sizes that are above ours in every mode.
    except (Image.DecompressionBombError, MemoryError) as error:
        found = str(error) or "there is not that much memory"
        raise UnusableData(f"{path} is too large ({found}); {_LIMIT}") from error
    # Besides OSError, Pillow's readers let through what their parsing of a torn file happens to raise.
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error) as error:
        raise UnusableData(f"{path} is broken: {error}") from error


@contextmanager
def _open(path: Path) -> Iterator[ImageFile]:
    status = path.stat()
    # Opening a pipe would wait for its writer.
    if not stat.S_ISREG(status.st_mode):
        raise UnusableData(f"{path} is no file; expected a JPEG, PNG or WebP image.")
    if status.st_size > LARGEST_FILE_BYTES:
        raise UnusableData(
            f"{path} is too large: {status.st_size / 1e6:.0f} MB, and image files of at most "
            f"{LARGEST_FILE_BYTES / 1e6:.0f} MB are read. Scale it down."
        )
    with memory.BoundedReader(io.FileIO(path)) as stream:
        is_jpeg = stream.read(len(_JPEG_MAGIC)) == _JPEG_MAGIC
        stream.seek(0)
        # `Image.open` refuses a 200-megapixel JPEG of a phone before it could be told to decode it at an eighth.
        with JpegImageFile(stream) if is_jpeg else Image.open(stream, formats=_FORMATS) as opened:
            stream.open_up()
            yield opened


def _decode(opened: ImageFile, size: Size | None, path: Path) -> Image.Image:
    """Decode an image, upright and in RGB; a JPEG that is made small at a fraction of its size.

    Raises:
        UnusableData: Before anything is decoded, if that would take too much memory.
    """
    width, height = opened.size
    stored = memory.encoded_bytes(opened, path.stat().st_size) + memory.coefficient_bytes(opened)
    fitted = None if size is None else _height_width(size)

    def check(*, is_turned: bool) -> None:
        needed = stored + memory.decoding_bytes(opened, is_turned=is_turned, fitted=fitted)
        if needed > LARGEST_DECODED_BYTES:
            kind = "progressive JPEG" if "progressive" in opened.info else opened.format
            raise UnusableData(
                f"{path} is too large: {width}x{height} pixels as {kind} would take {needed / 1e6:.0f} MB; {_LIMIT}"
            )

    if size is not None:
        _decode_reduced(opened, size)
    check(is_turned=False)
    # Pillow decodes a PNG to look for its orientation.
    turn = _TURNS.get(_orientation(opened))
    if turn is None:
        return _to_rgb(opened)
    check(is_turned=True)
    return _to_rgb(opened).transpose(turn)


def _to_array(image: Image.Image) -> np.ndarray:
    """Return an RGB image as an array, in tiles: of a whole image, NumPy takes three copies on the way."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            tile = image.crop((left, top, min(left + _TILE_PX, width), min(top + _TILE_PX, height)))
            pixels[top : top + _TILE_PX, left : left + _TILE_PX] = np.asarray(tile)
    return pixels


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 is upright, and the fallback for torn metadata."""
    try:
        found = image.getexif().get(_ORIENTATION_TAG)
        return found if found in _TURNS else 1
    except (SyntaxError, ValueError, LookupError, TypeError, struct.error):
        return 1


def _decode_reduced(image: Image.Image, size: Size) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8, with at least two pixels for each wanted one, along both axes."""
    if isinstance(image, JpegImageFile):
        height, width = _height_width(size)
        stored = (height, width) if _orientation(image) >= _FIRST_SIDEWAYS else (width, height)
        image.draft(None, (2 * stored[0], 2 * stored[1]))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # 16-bit greyscale: Pillow's own conversion clips at 255 instead of scaling.
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", layered.size, "white")
        white.paste(layered, mask=layered)
        return white
    # Without a copy, unlike `convert`.
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")
