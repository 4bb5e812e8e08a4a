"""Folders of photos in, `uint8` RGB arrays out; the one place that knows file formats, orientation and pixel ranges.

In memory an image is `(height, width, 3)` uint8 RGB. A generator sees float32 in [-1, 1]: -1 is black, 1 is white.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from compress.errors import UnusableData

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
BROKEN_TOLERANCE = 0.01
"""The share of broken files in a folder that is skipped by name; more is an error."""

Size = int | tuple[int, int]
"""A side of a square, or `(height, width)`; pixels."""

_log = logging.getLogger(__name__)


def list_images(folder: Path) -> list[Path]:
    """List the image files of a folder, sorted by name.

    Raises:
        UnusableData: If the folder is missing or holds no image.
    """
    if not folder.is_dir():
        raise UnusableData(f"{folder} is no folder; expected one with JPEG, PNG or WebP images.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UnusableData(f"{folder} holds no image; expected files that end in {', '.join(sorted(SUFFIXES))}.")
    return paths


def read_image(path: Path, size: Size | None = None) -> np.ndarray:
    """Read one image, upright and in RGB.

    Args:
        path: A JPEG, PNG or WebP file: greyscale, palette, CMYK, transparent (on white) or EXIF-rotated as it may be.
        size: Where given, the largest centred part of that shape is cut out and resized to it (Lanczos).

    Returns:
        `(height, width, 3)` uint8.

    Raises:
        UnusableData: If the file is broken.
    """
    try:
        with Image.open(path) as opened:
            if size is not None:
                # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size: a huge photo then costs no huge memory.
                opened.draft("RGB", tuple(2 * side for side in reversed(_height_width(size))))
            image = _to_rgb(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnusableData(f"{path} is broken: {error}") from error
    if size is not None:
        height, width = _height_width(size)
        image = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(image, dtype=np.uint8)


def read_images(paths: Sequence[Path], size: Size | None = None) -> Iterator[tuple[Path, np.ndarray]]:
    """Read many images; broken ones are named in the log and skipped.

    Raises:
        UnusableData: If more than `BROKEN_TOLERANCE` of them are broken, naming the first; with fewer than a hundred
            files, if more than one is.
    """
    allowed = max(1, int(len(paths) * BROKEN_TOLERANCE))
    broken: list[Path] = []
    for path in paths:
        try:
            image = read_image(path, size)
        except UnusableData as error:
            broken.append(path)
            if len(broken) > allowed or len(paths) == 1:
                raise UnusableData(
                    f"{len(broken)} of {len(paths)} images are broken, more than the {BROKEN_TOLERANCE:.0%} that is "
                    f"skipped; the first is {broken[0]} ({error}). Replace or delete them."
                ) from error
            _log.warning("skipped: %s", error)
            continue
        yield path, image


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 [0, 255] to float32 [-1, 1]."""
    return images.astype(np.float32) / 127.5 - 1.0


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Float [-1, 1] to uint8 [0, 255], rounded to nearest; values outside are clipped."""
    return np.clip(np.rint((np.asarray(images, dtype=np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a `(height, width, 3)` uint8 image as PNG."""
    Image.fromarray(image).save(path, format="PNG", compress_level=1)


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], *, gap_px: int = 4) -> np.ndarray:
    """Lay images of one size out in rows on white.

    Args:
        rows: Each a sequence of `(height, width, 3)` uint8 images; all rows equally long.
        gap_px: White space between images, pixels.

    Returns:
        `(height, width, 3)` uint8.
    """
    height, width, _ = rows[0][0].shape
    sheet = np.full(
        (len(rows) * (height + gap_px) + gap_px, len(rows[0]) * (width + gap_px) + gap_px, 3), 255, dtype=np.uint8
    )
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = gap_px + row * (height + gap_px), gap_px + column * (width + gap_px)
            sheet[top : top + height, left : left + width] = image
    return sheet


def _height_width(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    if image.mode.startswith("I;16"):
        # 16-bit greyscale: Pillow's own conversion clips at 255 instead of scaling.
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
