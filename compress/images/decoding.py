"""Decoding of one picture: opened by its content, bounded in memory, upright, in 8 bits a channel and in sRGB."""

import io
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from compress.errors import UnusableData
from compress.images import colour, memory
from compress.images.folder import read_formats
from compress.images.formats import HEAD_BYTES, HEIC, JPEG, RAW, Format, describe_content, format_of_content
from compress.images.memory import LARGEST_DECODED_BYTES, LARGEST_FILE_BYTES

Size = int | tuple[int, int]
"""Side of a square, or `(height, width)`; pixels."""
Layers = tuple[np.ndarray, np.ndarray | None]
"""`(height, width, 3)` uint8 colours; `(height, width)` uint8 transparency, 0 where nothing is seen, or None."""


class _Quiet:
    """Silences Pillow's warnings of large images and torn metadata; both are handled here, by limits of our own.

    Python keeps its warnings' filters for all threads at once, so they are silent while any thread reads: one that has
    ended would let those of the others through, and two that end out of order leave the filters of neither.
    """

    def __init__(self) -> None:
        self._lock, self._readers = Lock(), 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._readers:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._readers += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._filters.__exit__(None, None, None)


_QUIET_PILLOW = _Quiet()
_LIMIT = f"at most {LARGEST_DECODED_BYTES / 1e6:.0f} MB of memory are taken for an image. Scale it down."
_TILE_PX = 512
_DEEP_BITS = 16
_ORIENTATION_TAG = 0x0112
_KIND_TAG, _IS_PREVIEW = 0x00FE, 1
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


def decode_file(path: Path, size: Size | None) -> tuple[np.ndarray, str | None]:
    """Return an image as `images.read_image` does, and why its colour profile was not followed, if it was not."""
    with open_image(path) as opened:
        image, fault = _decode(opened, size, path)
        image = _on_white(image)
    if size is None:
        return _to_array(image), fault
    height, width = _height_width(size)
    return np.asarray(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS), dtype=np.uint8), fault


def decode_layers(path: Path) -> tuple[Layers, str | None]:
    """Return an image's colours and transparency as `images.read_layers` does, and `decode_file`'s fault."""
    with open_image(path) as opened:
        image, fault = _decode(opened, None, path)
        if image.mode != "RGBA":
            return (_to_array(image), None), fault
        return (_to_array(image.convert("RGB")), np.array(image.getchannel("A"))), fault


def read_image_size(path: Path) -> tuple[int, int]:
    """Read height and width of an upright image, in pixels, from its header alone: the pixels may be broken.

    Raises:
        UnusableData: If the header is broken.
    """
    with open_image(path) as opened:
        # Pillow decodes a PNG that begins without EXIF data, as nearly all do, to look for it behind the pixels.
        is_upright = isinstance(opened, PngImageFile) and "exif" not in opened.info
        is_sideways = not is_upright and _orientation(opened) >= _FIRST_SIDEWAYS
        width, height = opened.size
    return (width, height) if is_sideways else (height, width)


@contextmanager
def open_image(path: Path) -> Iterator[ImageFile]:
    """Open an image without decoding it; what Pillow raises, then or later, becomes an error that names the file."""
    try:
        with _QUIET_PILLOW, _open(path) as opened:
            yield opened
    # Pillow's own limit, of header sizes that are above ours in every mode.
    except (Image.DecompressionBombError, MemoryError) as error:
        found = str(error) or "there is not that much memory"
        raise UnusableData(f"{path} is too large ({found}); {_LIMIT}") from error
    # Besides OSError, Pillow's readers let through what their parsing of a torn file happens to raise.
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, struct.error) as error:
        raise UnusableData(f"{path} is broken: {error}") from error


def _height_width(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


@contextmanager
def _open(path: Path) -> Iterator[ImageFile]:
    status = path.stat()
    # Opening a pipe would wait for its writer.
    if not stat.S_ISREG(status.st_mode):
        raise UnusableData(f"{path} is no file; expected a picture of {', '.join(read_formats())}.")
    if status.st_size > LARGEST_FILE_BYTES:
        raise UnusableData(
            f"{path} is too large: {status.st_size / 1e6:.0f} MB, and image files of at most "
            f"{LARGEST_FILE_BYTES / 1e6:.0f} MB are read. Scale it down."
        )
    with memory.BoundedReader(io.FileIO(path)) as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        found = _require_read_format(head, path)
        # `Image.open` refuses a 200-megapixel JPEG of a phone before it could be told to decode it at an eighth. The
        # decoder is named, since Pillow's others include some that start programs of the system: EPS.
        with JpegImageFile(stream) if found is JPEG else _open_as(found, stream) as opened:
            stream.open_up()
            if isinstance(opened, TiffImageFile) and opened.tag_v2.get(_KIND_TAG, 0) & _IS_PREVIEW:
                raise UnusableData(f"{path} begins with a preview, as cameras' raw files do; {RAW.remedy}.")
            yield opened


def _open_as(found: Format, stream: memory.BoundedReader) -> ImageFile:
    try:
        return Image.open(stream, formats=[found.decoder])
    except UnidentifiedImageError as error:
        raise OSError(f"it begins as a {found.name} picture and is none") from error


def _require_read_format(head: bytes, path: Path) -> Format:
    found = format_of_content(head, path)
    if found is None:
        raise OSError(describe_content(head) or "it is no picture of a known format")
    if not found.is_read:
        raise UnusableData(f"{path} is a file of {found.name}, which is not read here: {found.remedy}.")
    if found is HEIC:
        from pillow_heif import register_heif_opener  # pyright: ignore[reportMissingImports] (it is optional)

        register_heif_opener()
    return found


def _decode(opened: ImageFile, size: Size | None, path: Path) -> tuple[Image.Image, str | None]:
    """Decode an image, upright and in sRGB; a JPEG that is made small at a fraction of its size.

    Returns:
        The image in RGB, or in RGBA if it is transparent, and why its colour profile was not followed, if it was not.

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
    if turn is not None:
        check(is_turned=True)
    image, fault = _to_srgb(opened)
    return image if turn is None else image.transpose(turn), fault


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
    """Return the EXIF orientation, 1 to 8; 1 is upright, and the fallback for torn metadata.

    Pillow turns a TIFF by itself, and tells the size that it has then.
    """
    if isinstance(image, TiffImageFile):
        return 1
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


def _to_srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Return an image in sRGB, RGB or RGBA, and why its colour profile was not followed, if it was not."""
    plain, fault = _to_plain(image), None
    if profile := image.info.get("icc_profile"):
        try:
            plain = colour.to_srgb(plain, profile)
        except colour.UnusableProfile as error:
            fault = str(error)
    return plain if plain.mode in ("RGB", "RGBA") else plain.convert("RGB"), fault


def _on_white(image: Image.Image) -> Image.Image:
    """Return an RGB or RGBA image in RGB, transparency on white."""
    if image.mode == "RGB":
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _to_plain(image: Image.Image) -> Image.Image:
    """Return an image in 8 bits a channel: in L, RGB, RGBA or CMYK.

    Raises:
        ValueError: If its values are in 32 bits, since their range is not known.
    """
    # Without a copy, unlike `convert`.
    image.load()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        return _scale_deep(image)
    if image.mode in ("I", "F"):
        raise ValueError("its pixels are numbers of an unknown range; expected 8 or 16 bits a channel")
    mode = colour.plain_mode(image)
    return image if image.mode == mode else image.convert(mode)


def _scale_deep(image: Image.Image) -> Image.Image:
    """Scale 16-bit greyscale to 8 bits: Pillow's own conversion clips at 255 instead."""
    levels = np.asarray(image)
    if not isinstance(image, TiffImageFile):
        return Image.fromarray((levels // 257).astype(np.uint8))
    bits = int(image.tag_v2.get(BITSPERSAMPLE, (16,))[0])
    scaled = (levels // 257 if bits == _DEEP_BITS else np.minimum(levels, 2**bits - 1) >> (bits - 8)).astype(np.uint8)
    # Pillow inverts 0 for white in other depths.
    return Image.fromarray(255 - scaled if image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0 else scaled)
