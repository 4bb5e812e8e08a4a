"""Resampling in whole numbers against Pillow's, within its rounding."""

import numpy as np
import pytest
from PIL import Image

from export.lens.resample import BLOCK, Enlarged, turn


@pytest.mark.parametrize("depth", [4, 8])
@pytest.mark.parametrize("roll", [0.0, 0.3, 2.0])
def test_turned_layers_are_pillows(depth: int, roll: float) -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (9, 9, depth), dtype=np.uint8)
    layers = np.dstack([np.asarray(Image.fromarray(one).resize((64, 64))) for one in np.moveaxis(coarse, -1, 0)])
    cosine, sine = np.cos(roll), np.sin(roll)
    matrix = np.array([[cosine, -sine, 32 - 20 * cosine + 20 * sine], [sine, cosine, 32 - 20 * sine - 20 * cosine]])
    turned = turn(layers, matrix, 40, 41)
    assert turned.dtype == np.int16
    for index in range(depth):
        image = Image.fromarray(np.ascontiguousarray(layers[..., index]))
        expected = np.asarray(
            image.transform((41, 40), Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR)
        )
        # Pillow leaves what lies within half a pixel of the border black.
        inside = (
            np.asarray(
                Image.new("L", image.size, 255).transform((41, 40), Image.Transform.AFFINE, tuple(matrix.ravel()))
            )
            > 0
        )
        assert np.abs(turned[..., index] - expected)[inside & (expected > 0)].max() <= 2


def test_a_turn_by_nothing_is_the_layers_themselves() -> None:
    layers = np.random.default_rng(0).integers(0, 256, (70, 50, 4), dtype=np.uint8)
    np.testing.assert_array_equal(turn(layers, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 70, 50), layers)


@pytest.mark.parametrize(("height", "width"), [(200, 170), (64, 100), (90, 48), (64, 48), (65, 49)])
def test_enlarged_pictures_are_pillows(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    enlarged = Enlarged(picture.astype(np.int16), height, width)
    blocks = [enlarged.rows(start, min(start + BLOCK, height)).copy() for start in range(0, height, BLOCK)]
    expected = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    assert np.abs(np.concatenate(blocks).reshape(expected.shape) - expected).max() <= 2


@pytest.mark.parametrize("side", [1, 2])
def test_pictures_of_a_pixel_are_enlarged(side: int) -> None:
    picture = np.full((side, side, 3), 77, np.int16)
    np.testing.assert_array_equal(Enlarged(picture, 9, 9).rows(0, 9), np.full((9, 27), 77))
    turned = turn(np.full((side, side, 4), 77, np.uint8), np.array([[0.1, 0, 0], [0, 0.1, 0]]), 5, 5)
    np.testing.assert_array_equal(turned, np.full((5, 5, 4), 77))
