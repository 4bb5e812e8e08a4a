"""Formats of pictures: which one a file is of, told by its first bytes, and what to do where it is not read here."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import PurePath

from PIL import features

HEAD_BYTES = 64
"""First bytes of a file that tell its format."""

_CONVERT = "convert them to JPEG or PNG"
_HEIF_PACKAGE = "pillow-heif"


@dataclass(frozen=True)
class Format:
    """A format of pictures."""

    name: str
    suffixes: tuple[str, ...]
    """In lower case. What has none of any format's is taken for no picture, whatever it holds."""
    decoder: str = ""
    """Pillow's name of it; empty where it is not read."""
    remedy: str = _CONVERT
    """What to do with such files where nobody reads them."""

    @property
    def is_read(self) -> bool:
        """Whether it is read here, which may hang on how Pillow was built, or on a plugin."""
        if self.decoder == "HEIF":
            return importlib.util.find_spec("pillow_heif") is not None
        optional = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}.get(self.decoder)
        return bool(self.decoder) and (optional is None or bool(features.check(optional)))


_RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".iiq", ".nef"),
    *(".nrw", ".orf", ".pef", ".raf", ".rw2", ".sr2", ".srw"),
)

JPEG = Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG")
PNG = Format("PNG", (".png", ".apng"), "PNG")
WEBP = Format("WebP", (".webp",), "WEBP")
GIF = Format("GIF", (".gif",), "GIF")
BMP = Format("BMP", (".bmp",), "BMP")
TIFF = Format("TIFF", (".tif", ".tiff"), "TIFF")
PNM = Format("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), "PPM")
JPEG_2000 = Format("JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"), "JPEG2000")
AVIF = Format(
    "AVIF", (".avif", ".avifs"), "AVIF", f"this Pillow was built without: pip install -U pillow, or {_CONVERT}"
)
HEIC = Format("HEIC", (".heic", ".heif", ".hif"), "HEIF", f"pip install {_HEIF_PACKAGE}, or {_CONVERT}")
RAW = Format("camera raw", _RAW_SUFFIXES, remedy="develop them, and export JPEG or PNG")
JPEG_XL = Format("JPEG XL", (".jxl",))
PSD = Format("PSD", (".psd", ".psb"))
SVG = Format("SVG", (".svg", ".svgz"))
OTHER = Format(
    "other picture", (".tga", ".exr", ".hdr", ".pcx", ".ico", ".icns", ".sgi", ".qoi", ".xcf", ".eps", ".pfm", ".jxr")
)

FORMATS = (JPEG, PNG, WEBP, GIF, BMP, TIFF, PNM, JPEG_2000, AVIF, HEIC, RAW, JPEG_XL, PSD, SVG, OTHER)

_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
_MAGIC = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF8", GIF),
    (b"IIRO", RAW),
    (b"IIU\0", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x0a", JPEG_XL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"8BPS", PSD),
    *((order, TIFF) for order in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
)
_BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)
_BRANDS = (
    (AVIF, {b"avif", b"avis"}),
    (HEIC, {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}),
    (RAW, {b"crx "}),
    (HEIC, {b"mif1", b"mif2", b"msf1"}),
)
"""Formats in an ISO media file by its brands, the more telling ones first."""


def format_of_name(path: PurePath) -> Format | None:
    """Return the format that a file's suffix promises; None for none of a picture."""
    return _BY_SUFFIX.get(path.suffix.lower())


def format_of_content(head: bytes, path: PurePath) -> Format | None:
    """Return the format of a file; None where its content is none of a picture that is known by its first bytes.

    Args:
        head: Its first `HEAD_BYTES`.
        path: Its name: cameras' raw files are TIFF files by content, of which only a small preview would be read.
    """
    found = _format_of_head(head)
    is_raw = found is TIFF and (format_of_name(path) is RAW or head[8:10] == b"CR")
    return RAW if is_raw else found


def describe_content(head: bytes) -> str | None:
    """Say what a file is that ought to be a picture and is not; None where nothing is known of it."""
    text = head.lstrip().lower()
    if not head:
        return "the file is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it holds a web page, as a download that failed leaves behind"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS: run git lfs pull"
    return None


def _format_of_head(head: bytes) -> Format | None:
    if head[4:8] == b"ftyp":
        brands = {head[place : place + 4] for place in (8, *range(16, min(len(head), int.from_bytes(head[:4])), 4))}
        return next((one for one, known in _BRANDS if brands & known), None)
    if head[:4] == b"RIFF":
        return WEBP if head[8:12] == b"WEBP" else None
    # Two letters alone begin texts, too.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return BMP
    if re.match(rb"P[1-6]\s+[\d#]", head):
        return PNM
    return next((one for magic, one in _MAGIC if head.startswith(magic)), None)
