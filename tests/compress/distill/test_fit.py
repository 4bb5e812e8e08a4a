"""The PSNR that a training watches on held-back photos."""

import keras
import numpy as np
import pytest

from compress.distill.fit import held_back_psnr_db
from compress.distill.training_data.pairs import Pairs


def _identity() -> keras.Model:
    image = keras.Input((8, 8, 3))
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
