"""What a training watches on held-back photos: PSNR, and the sheet."""

import keras
import numpy as np
import pytest

from compress.distill.training_data.pairs import Pairs
from compress.distill.watch.pictures import draw_sheet, held_back_psnr_db, translate_held_back
from compress.images.sheet import LABEL_PX


def _identity(side: int = 8) -> keras.Model:
    image = keras.Input((side, side, 3))
    return keras.Model(image, keras.layers.Activation("linear")(image))


def _pairs(photos: np.ndarray, targets: np.ndarray) -> Pairs:
    return Pairs(photos, targets, np.arange(len(photos)))


def test_held_back_psnr_is_the_mean_over_the_photos() -> None:
    photos = np.full((2, 8, 8, 3), 100, np.uint8)
    targets = photos + np.array([5, 10], np.uint8)[:, None, None, None]
    expected = np.mean([20 * np.log10(255 / 5), 20 * np.log10(255 / 10)])
    assert held_back_psnr_db(_identity(), _pairs(photos, targets)) == pytest.approx(expected, abs=1e-4)


def test_held_back_psnr_of_equal_images_is_finite() -> None:
    photos = np.full((2, 8, 8, 3), 100, np.uint8)
    assert held_back_psnr_db(_identity(), _pairs(photos, photos)) == pytest.approx(106.02, abs=0.01)


def test_all_held_back_photos_are_translated_in_their_order() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3)).astype(np.uint8)
    held_back = Pairs(photos, 255 - photos, np.array([1, 4, 6]))
    np.testing.assert_array_equal(translate_held_back(_identity(), held_back).pixels, photos[[1, 4, 6]])


def test_the_sheet_shows_photo_teacher_and_student_pixel_by_pixel() -> None:
    photos = np.random.default_rng(0).integers(0, 256, (9, 300, 300, 3)).astype(np.uint8)
    made = photos // 2
    sheet = draw_sheet(_pairs(photos, 255 - photos), made)
    assert sheet.shape == (LABEL_PX + 6 * 260 + 4, 3 * 260 + 4, 3)
    assert (sheet[:LABEL_PX] < 128).any()
    sheet = sheet[LABEL_PX:]
    # The middle 256 pixels of 300.
    middle = np.s_[22:278, 22:278]
    for row in (0, 5):
        for column, image in enumerate((photos[row], 255 - photos[row], made[row])):
            top, left = 4 + 260 * row, 4 + 260 * column
            np.testing.assert_array_equal(sheet[top : top + 256, left : left + 256], image[middle])
