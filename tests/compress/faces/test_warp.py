"""Resampling by OpenCV: places as Pillow counts them, borders that go on, pictures of any size."""

import numpy as np
import pytest
from PIL import Image

from compress.faces.warp import resize, shrink, warp, window_means


@pytest.fixture
def smooth() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("roll", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("cubic", [False, True])
def test_warped_pictures_are_pillows(smooth: np.ndarray, roll: float, cubic: bool) -> None:
    cosine, sine = np.cos(roll), np.sin(roll)
    matrix = np.array([[cosine, -sine, 32 - 20 * cosine + 20 * sine], [sine, cosine, 32 - 20 * sine - 20 * cosine]])
    resampling = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR

    def pillows(picture: np.ndarray) -> np.ndarray:
        data = tuple(matrix.ravel())
        return np.asarray(Image.fromarray(picture).transform((41, 40), Image.Transform.AFFINE, data, resampling))

    # Pillow leaves black what lies within half a pixel of the border.
    inside = pillows(np.full((64, 64), 255, np.uint8)) == 255
    off = np.abs(warp(smooth, matrix, 40, 41, cubic=cubic).astype(int) - pillows(smooth))[inside]
    assert inside.mean() > 0.5
    # OpenCV's cubic filter is sharper than Pillow's: its curve falls by 0.75 instead of 0.5 where it crosses 0.
    assert off.max() <= (12 if cubic else 2)
    assert off.mean() < (1.5 if cubic else 0.6)


def test_a_warp_by_nothing_is_the_picture_itself() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp(picture, np.array([[1.0, 0, 0], [0, 1.0, 0]]), 70, 50), picture)


def test_the_border_goes_on_outside() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    moved = warp(picture, np.array([[1.0, 0, -2], [0, 1.0, -3]]), 11, 12)
    np.testing.assert_array_equal(moved, np.pad(picture, [(3, 3), (2, 3), (0, 0)], mode="edge"))


@pytest.mark.parametrize(("height", "width"), [(200, 170), (64, 100), (90, 64), (64, 64), (65, 66)])
def test_enlarged_pictures_are_pillows(smooth: np.ndarray, height: int, width: int) -> None:
    expected = np.asarray(Image.fromarray(smooth).resize((width, height), Image.Resampling.BILINEAR))
    assert np.abs(resize(smooth, height, width).astype(int) - expected).max() <= 1


def test_shrunk_pictures_are_the_means_of_whole_groups() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (11, 8, 3), dtype=np.uint8)
    means = picture[:9, :6].reshape(3, 3, 2, 3, 3).mean(axis=(1, 3))
    assert np.abs(shrink(picture, 3) - means).max() <= 0.5
    assert shrink(picture[:2, :1], 3).shape == (1, 1, 3)


def test_windows_begin_at_their_pixel_and_the_border_goes_on() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    padded = np.pad(picture, [(0, 2), (0, 2), (0, 0)], mode="edge").astype(float)
    means = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1)).mean(axis=(-2, -1))
    assert np.abs(window_means(picture, 3) - means).max() <= 0.51


@pytest.mark.parametrize("side", [1, 2])
def test_pictures_of_a_pixel_are_enlarged(side: int) -> None:
    picture = np.full((side, side, 4), 77, np.uint8)
    np.testing.assert_array_equal(resize(picture, 9, 9), np.full((9, 9, 4), 77))
    np.testing.assert_array_equal(warp(picture, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 5, 5), np.full((5, 5, 4), 77))
