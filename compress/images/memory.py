"""Memory that decoding an image takes, computed from its header before a pixel is decoded, and the bounds on it.

It is the sum of all copies that are alive at once: Pillow's image, its conversion to RGB, a decoder's own buffers, and
the array that is returned.
"""

import io
import math
from typing import IO, cast

from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ROWSPERSTRIP, TILELENGTH, TILEWIDTH, TiffImageFile

from compress.errors import UnusableData

LARGEST_DECODED_BYTES = 350_000_000
"""Most memory to decode one image in; with Python and NumPy themselves a process stays below 400 MB."""
LARGEST_FILE_BYTES = 128_000_000
"""Largest image file: a WebP is read whole."""
LARGEST_HEADER_BYTES = 16_000_000
"""Most metadata before an image's pixels: Pillow keeps them in memory, and joins them in time that grows squarely."""

_LINE_POINTER = 8
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2}
"""Bytes of a pixel in Pillow's memory by its mode; 4 in all others, RGB among them."""
_RGB = 4
_WEBP_BYTES_PER_PIXEL = 12
"""Two canvases that libwebp composes frames on, and the frame on its way to Pillow."""
_AVIF_BYTES_PER_PIXEL = 9
"""Three planes, of 16 bits where a photo has 10, and the frame on its way to Pillow."""
_HEIC_BYTES_PER_PIXEL = 7
_JPEG_2000_BYTES_PER_CHANNEL = 5
"""OpenJPEG's 32 bits of each, and the tile on its way to Pillow."""
_TIFF_BYTES_PER_PIXEL = 8
"""16-bit RGBA."""
_ORIENTATION_TAG = 0x0112
_PPM_BYTES_PER_BYTE = 2.25
"""Where levels are scaled or written as text, Python gathers them in an array that grows, and copies it."""
_PNG_ROW_BYTES_PER_PIXEL = 16
"""Two rows, of 16-bit RGBA at most."""
_PNG_MAGIC_BYTES, _PNG_CHECKSUM_BYTES = 8, 4
_COEFFICIENT_BYTES = 2
_BLOCK_PX = 8
_DECODER_BYTES = 8_000_000
"""A decoder's tables and rows."""


class BoundedReader(io.BufferedReader):
    """An image file of which little is read until `open_up` is called.

    Raises:
        UnusableData: In `read`, where it would be more than `LARGEST_HEADER_BYTES`, wherever in the file they lie;
            without a size, as a WebP is read, the file is read to its end.
    """

    header_bytes: int | None = None
    """How much was read before `open_up`."""
    _read_bytes = 0

    def open_up(self) -> None:
        """Let everything be read: the header is known."""
        self.header_bytes = self._read_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        self._read_bytes += max(0, size or 0)
        if self.header_bytes is None and self._read_bytes > LARGEST_HEADER_BYTES:
            raise UnusableData(
                f"{self.name} is too large: it holds more than {LARGEST_HEADER_BYTES / 1e6:.0f} MB of metadata before "
                "its pixels. Save it without."
            )
        return super().read(size)


def coefficient_bytes(image: Image) -> int:
    """Return the bytes that libjpeg keeps a JPEG's coefficients in, at full size whatever size is decoded.

    It does where they come in several passes: progressive ones, and baseline ones with a scan for each channel. Has to
    be called before anything is read from the image, since it looks where the header ends.
    """
    if not isinstance(image, JpegImageFile) or not _has_several_scans(image):
        return 0
    across, down = (max(layer[axis] for layer in image.layer) for axis in (1, 2))
    columns, rows = (
        math.ceil(side / (_BLOCK_PX * sampling)) for side, sampling in zip(image.size, (across, down), strict=True)
    )
    blocks = columns * rows * sum(layer[1] * layer[2] for layer in image.layer)
    return blocks * _BLOCK_PX**2 * _COEFFICIENT_BYTES


def encoded_bytes(image: ImageFile, file_bytes: int) -> int:
    """Return the most memory that an image's file itself takes: its metadata, three times over, and all of those
    that are read whole.

    Pillow keeps metadata as they are, by name, and joined. Has to be called before anything is read from the image.

    Args:
        image: Just opened.
        file_bytes: Size of its file.
    """
    if image.format in ("WEBP", "AVIF", "HEIF", "JPEG2000"):
        return 3 * file_bytes
    stream = cast(BoundedReader, image.fp)
    if image.format == "TIFF":
        # libtiff may map the whole file.
        return 3 * (stream.header_bytes or 0) + file_bytes
    return 3 * (_png_metadata_bytes(stream, file_bytes) if image.format == "PNG" else stream.tell())


def decoding_bytes(image: Image, *, is_turned: bool, fitted: tuple[int, int] | None) -> int:
    """Return the most memory that an image takes on its way to an RGB array, without its file and coefficients.

    Args:
        image: Opened, and told by `draft` at which size it will be decoded.
        is_turned: Whether it is brought upright.
        fitted: Height and width that it is cropped and resized to; None for all of it.
    """
    width, height = image.size
    total = sum(_plane_bytes(width, height, each) for each in _copies(image))
    total += _decoder_bytes(image)
    if is_turned:
        total += max(_plane_bytes(*sides, _RGB) for sides in ((width, height), (height, width)))
    return total + (_resizing_bytes(width, height, fitted) if fitted else 3 * width * height)


def _png_metadata_bytes(stream: IO[bytes], file_bytes: int) -> int:
    """Return the bytes of all chunks that are no pixels, before and behind them."""
    place, total = stream.tell(), 0
    stream.seek(_PNG_MAGIC_BYTES)
    while len(head := stream.read(8)) == 8:
        # A damaged length promises more than there is.
        length = min(int.from_bytes(head[:4], "big"), file_bytes - stream.tell())
        total += 0 if head[4:] == b"IDAT" else length
        stream.seek(length + _PNG_CHECKSUM_BYTES, io.SEEK_CUR)
    stream.seek(place)
    return total


def _has_several_scans(image: JpegImageFile) -> bool:
    """Check whether each scan of a JPEG holds less than the image, from its last header: that of the first scan."""
    if "progressive" in image.info:
        return True
    stream = cast(IO[bytes], image.fp)
    end = stream.tell()
    # Its length, number of components, two bytes for each, and three.
    length = 6 + 2 * image.layers
    stream.seek(max(0, end - length))
    header = stream.read(length)
    stream.seek(end)
    return header[:3] != length.to_bytes(2, "big") + bytes([image.layers])


def _copies(image: Image) -> list[int]:
    """Return the bytes of a pixel of each image that Pillow holds at once until there is one in RGB."""
    native = _BYTES_PER_PIXEL.get(image.mode, 4)
    if image.mode == "I":
        return [native, native, native, 1, 1]
    if image.mode.startswith("I;16"):
        return [native, native, native, 1, 1, _RGB]
    if image.has_transparency_data:
        return [native, _RGB] if image.mode == "RGBA" else [native, _RGB, _RGB]
    return [native] if image.mode == "RGB" else [native, _RGB]


def _plane_bytes(width: int, height: int, bytes_per_pixel: int) -> int:
    """Return the bytes of an image in Pillow's memory: its rows, in words of four bytes, and a pointer to each."""
    return height * (math.ceil(width * bytes_per_pixel / 4) * 4 + _LINE_POINTER)


def _decoder_bytes(image: Image) -> int:
    """Return the most memory of a decoder's own buffers."""
    width, height = image.size
    pixels = width * height
    match image.format:
        case "WEBP":
            own = _WEBP_BYTES_PER_PIXEL * pixels
        case "AVIF":
            own = _AVIF_BYTES_PER_PIXEL * pixels
        case "HEIF":
            own = _HEIC_BYTES_PER_PIXEL * pixels
        case "JPEG2000":
            own = (_JPEG_2000_BYTES_PER_CHANNEL * len(image.getbands()) + 1) * pixels
        case "GIF":
            # What an animation's first frame is replaced by.
            own = _plane_bytes(width, height, 1)
        case "PPM":
            own = _ppm_bytes(cast(ImageFile, image))
        case "TIFF":
            own = _tiff_bytes(cast(TiffImageFile, image))
        case _:
            own = _PNG_ROW_BYTES_PER_PIXEL * width if image.format == "PNG" else 0
    return _DECODER_BYTES + own


def _ppm_bytes(image: ImageFile) -> int:
    if image.tile and image.tile[0].codec_name == "raw":
        return 0
    width, height = image.size
    return int(_PPM_BYTES_PER_BYTE * width * height * (4 if image.mode == "I" else len(image.getbands())))


def _tiff_bytes(image: TiffImageFile) -> int:
    """Return the bytes of a strip or tile, which is decoded at once, and of the image that Pillow turns upright."""
    width, height = image.size
    tags = image.tag_v2
    turned = _plane_bytes(width, height, _RGB) if tags.get(_ORIENTATION_TAG, 1) != 1 else 0
    if image.tile and image.tile[0].codec_name == "raw":
        return turned
    rows = tags.get(TILELENGTH) or min(tags.get(ROWSPERSTRIP, height), max(width, height))
    return turned + rows * (tags.get(TILEWIDTH) or max(width, height)) * _TIFF_BYTES_PER_PIXEL


def _resizing_bytes(width: int, height: int, fitted: tuple[int, int]) -> int:
    """Return the bytes of an image that is resized along one axis, then along both, and of the array made of it."""
    rows, columns = fitted
    # Upright, and as it lies: only one of them is true, and the larger one is safe.
    kept_rows = max(min(one, math.ceil(other * rows / columns)) for one, other in ((height, width), (width, height)))
    return _plane_bytes(columns, kept_rows, _RGB) + _plane_bytes(columns, rows, _RGB) + 6 * rows * columns
