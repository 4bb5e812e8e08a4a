"""Contact sheets: images of one size in labelled rows and columns, pixel by pixel."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from compress.printable import printable_name

LABEL_PX = 16
"""Height of the strip above the images in which their columns are named, pixels."""
_FONT_PX, _GAP_PX = 11, 4


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    gap_px: int = _GAP_PX,
    cell_px: int | None = None,
) -> np.ndarray:
    """Lay images of one size out in rows on white, pixel by pixel: none is scaled.

    Args:
        rows: Each a sequence of `(height, width, 3)` uint8 images; all rows equally long.
        columns: Name of each column, written above it, cut to its width.
        names: Name of each row, written at its left.
        gap_px: White space between images, pixels.
        cell_px: Greatest height and width of an image on the sheet; the middle is cut out of larger ones.

    Returns:
        `(height, width, 3)` uint8.
    """
    if cell_px is not None:
        rows = [[_cut_middle(image, cell_px) for image in row] for row in rows]
    height, width, _ = rows[0][0].shape
    above = LABEL_PX if columns else 0
    beside = max((_text_width(name) + gap_px for name in names), default=0)
    down, across = height + gap_px, width + gap_px
    shape = (above + len(rows) * down + gap_px, beside + len(rows[0]) * across + gap_px, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            top, left = above + gap_px + row * down, beside + gap_px + column * across
            sheet[top : top + height, left : left + width] = image
    labels = [(beside + gap_px + place * across, 0, _fit(name, width)) for place, name in enumerate(columns)]
    labels += [(gap_px, above + gap_px + row * down, name) for row, name in enumerate(names)]
    return _write_labels(sheet, labels) if labels else sheet


def cut_sheet(sheet: np.ndarray, *, columns: int) -> list[list[np.ndarray]]:
    """Cut a sheet of `contact_sheet` into its images again.

    Args:
        sheet: With names above its columns, none beside its rows, the usual gap, and square images.
        columns: Number of columns.

    Returns:
        Rows of images, each `(side, side, 3)` uint8.

    Raises:
        ValueError: If it is no such sheet.
    """
    height, width = sheet.shape[0] - LABEL_PX - _GAP_PX, sheet.shape[1] - _GAP_PX
    step = width // columns
    if width % columns or step <= _GAP_PX or height <= 0 or height % step:
        raise ValueError(f"a sheet of {sheet.shape[1]}x{sheet.shape[0]} pixels is none of {columns} square columns")
    side = step - _GAP_PX
    tops = range(LABEL_PX + _GAP_PX, sheet.shape[0], step)
    lefts = range(_GAP_PX, sheet.shape[1], step)
    return [[sheet[top : top + side, left : left + side] for left in lefts] for top in tops]


def _write_labels(sheet: np.ndarray, labels: Sequence[tuple[int, int, str]]) -> np.ndarray:
    """Write text at the places, left and top, that it has on a sheet."""
    drawn = Image.fromarray(sheet)
    pen = ImageDraw.Draw(drawn)
    for left, top, text in labels:
        pen.text((left, top + 1), printable_name(text), fill="black", font=_font())
    return np.array(drawn)


def _fit(name: str, width_px: int) -> str:
    """Cut a name until it stands above its column and not in the next one's."""
    shown = printable_name(name)
    while len(shown) > 1 and _text_width(shown) > width_px:
        shown = f"{shown.removesuffix('…')[:-1]}…" if len(shown) > 2 else shown[:1]
    return shown


def _text_width(text: str) -> int:
    return int(np.ceil(_font().getlength(printable_name(text))))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font, which is the same on every machine."""
    return ImageFont.load_default(_FONT_PX)


def _cut_middle(image: np.ndarray, side_px: int) -> np.ndarray:
    top, left = (max(0, (side - side_px) // 2) for side in image.shape[:2])
    return image[top : top + side_px, left : left + side_px]
