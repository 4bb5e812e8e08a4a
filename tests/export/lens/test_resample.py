"""Resampling in whole numbers against Pillow's, within its rounding."""

import numpy as np
import pytest
from PIL import Image

from export.lens.resample import Enlarged, colours_of, pack, turn


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("roll", [0.0, 0.3, 2.0])
def test_turned_pictures_and_masks_are_pillows(count: int, roll: float) -> None:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((64, 64)))
    pictures, mask = [picture, 255 - picture][:count], np.ascontiguousarray(picture[..., 1])
    cosine, sine = np.cos(roll), np.sin(roll)
    matrix = np.array([[cosine, -sine, 32 - 20 * cosine + 20 * sine], [sine, cosine, 32 - 20 * sine - 20 * cosine]])
    turned = turn(pictures, mask, matrix, 40, 41)
    assert len(turned) == count

    def pillows(layer: np.ndarray) -> np.ndarray:
        bilinear = Image.Resampling.BILINEAR
        return np.asarray(
            Image.fromarray(layer).transform((41, 40), Image.Transform.AFFINE, tuple(matrix.ravel()), bilinear)
        )

    # Pillow leaves what lies within half a pixel of the border black.
    inside = pillows(np.full((64, 64), 255, np.uint8)) == 255
    for picture, found in zip(pictures, turned, strict=True):
        assert np.abs(colours_of(found) - pillows(picture).astype(int))[inside].max() <= 2
        assert np.abs(found["share"] - pillows(mask) / 2)[inside].max() <= 1.5


def test_a_turn_by_nothing_is_the_picture_itself() -> None:
    random = np.random.default_rng(0)
    picture, mask = (random.integers(0, 256, shape, dtype=np.uint8) for shape in ((70, 50, 3), (70, 50)))
    (turned,) = turn([picture], mask, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 70, 50)
    np.testing.assert_array_equal(colours_of(turned), picture)
    np.testing.assert_array_equal(turned["share"], (mask.astype(int) + 1) // 2)


def rows_of(enlarged: Enlarged, start: int, stop: int) -> np.ndarray:
    return enlarged.lengthened(enlarged.widened(start, stop), start, stop)


@pytest.mark.parametrize(("height", "width"), [(200, 170), (64, 100), (90, 48), (64, 48), (65, 49)])
def test_enlarged_pictures_are_pillows(height: int, width: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    enlarged = Enlarged(pack(picture.astype(np.int16), picture[..., 1]), height, width)
    spans = [(start, min(start + 32, height)) for start in range(0, height, 32)]
    expected = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR))
    found = np.concatenate([rows_of(enlarged, *span) for span in spans]).reshape(expected.shape)
    assert np.abs(found - expected.astype(int)).max() <= 2
    shares = np.concatenate([enlarged.shares(enlarged.widened(*span), *span) for span in spans])
    assert np.abs(shares.reshape(expected.shape) - found[..., [1, 1, 1]] / 2).max() <= 1.5
    part = enlarged.lengthened(enlarged.widened(20, 50)[:, 7:40], 20, 50)
    np.testing.assert_array_equal(part.reshape(30, 33, 3), found[20:50, 7:40])


def test_the_largest_differences_do_not_run_over() -> None:
    picture = np.array([[255], [-128], [128]], np.int16)[..., np.newaxis].repeat(3, axis=2)
    rows = rows_of(Enlarged(pack(picture), 30, 1), 0, 30)[:, 0]
    places = np.clip((np.arange(30) + 0.5) / 10 - 0.5, 0, 2)
    assert np.abs(rows - np.interp(places, [0, 1, 2], [255, -128, 128])).max() <= 2


@pytest.mark.parametrize("side", [1, 2])
def test_pictures_of_a_pixel_are_enlarged(side: int) -> None:
    picture = np.full((side, side, 3), 77, np.int16)
    np.testing.assert_array_equal(rows_of(Enlarged(pack(picture), 9, 9), 0, 9), np.full((9, 27), 77))
    mask = np.full((side, side), 77, np.uint8)
    (turned,) = turn([picture.astype(np.uint8)], mask, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 5, 5)
    np.testing.assert_array_equal(colours_of(turned), np.full((5, 5, 3), 77))
