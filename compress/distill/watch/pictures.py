"""A student's images of held-back photos: their PSNR to the teacher's, and the sheet that people look at."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from compress import images
from compress.distill.training_data.pairs import Pairs

_SHEET_ROWS = 6
_SHEET_CELL_PX = 256
_PSNR_CEILING_DB = 10 * math.log10(4 / 1e-10)
"""PSNR that counts for an image equal to its target, so that the mean stays finite."""


@dataclass(frozen=True)
class Pictures:
    """A student's images of held-back photos."""

    psnr_db: float
    """Mean PSNR to the teacher's images, dB."""
    pixels: np.ndarray
    """`(photos, height, width, 3)` uint8."""


def translate_held_back(student: keras.Model, held_back: Pairs) -> Pictures:
    """Translate all held-back photos, one at a time, and compare with the teacher's images of them."""
    scores, pixels = [], []
    for position in range(len(held_back)):
        photos, targets = held_back.batch(np.array([position]))
        generated = np.asarray(keras.ops.convert_to_numpy(student.predict_on_batch(photos)), dtype=np.float32)
        scores.append(min(images.psnr_db(generated - targets), _PSNR_CEILING_DB))
        pixels.append(images.to_uint8(generated[0]))
    return Pictures(float(np.mean(scores)), np.stack(pixels))


def held_back_psnr_db(student: keras.Model, held_back: Pairs) -> float:
    """Return the mean PSNR of a student to the teacher's images of held-back photos, dB."""
    return translate_held_back(student, held_back).psnr_db


def draw_sheet(held_back: Pairs, pixels: np.ndarray) -> np.ndarray:
    """Draw rows of photo, teacher's image, student's image, pixel by pixel: of large images the middle.

    Args:
        held_back: The photos.
        pixels: The student's images of them, `Pictures.pixels`.

    Returns:
        `(height, width, 3)` uint8.
    """
    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    rows = zip(images.to_uint8(photos), images.to_uint8(targets), pixels, strict=False)
    columns = ("photo", "teacher", "student")
    return images.contact_sheet([list(row) for row in rows], columns=columns, cell_px=_SHEET_CELL_PX)
