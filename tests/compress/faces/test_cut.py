"""Cutting squares out: pixel for pixel where it can be, turned, without aliasing, edges repeated."""

import math

import numpy as np
import pytest

from compress.faces.cut import cut, cut_coarsely
from compress.faces.template import Placement


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_square_of_its_own_size_is_the_photos_pixels(noise: np.ndarray) -> None:
    square = cut(noise, Placement(x=30, y=20, side_px=16), 16)
    np.testing.assert_array_equal(square, noise[12:28, 22:38])


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_square_is_the_photos_pixels_turned(noise: np.ndarray, quarters: int) -> None:
    square = cut(noise, Placement(x=30, y=20, side_px=16, roll_rad=quarters * math.pi / 2), 16)
    np.testing.assert_allclose(square.astype(int), np.rot90(noise[12:28, 22:38], quarters), atol=1)


@pytest.mark.parametrize("side_px", [9, 40, 90, 200])
@pytest.mark.parametrize("cutter", [cut, cut_coarsely])
@pytest.mark.parametrize(("x", "y"), [(-300, 20), (400, 20), (30, -500), (30, 400)])
def test_a_square_beside_the_photo_repeats_its_edge(cutter, x: int, y: int, side_px: int) -> None:
    photo = np.full((40, 60, 3), 90, np.uint8)
    square = cutter(photo, Placement(x=x, y=y, side_px=side_px, roll_rad=0.4), 16)
    assert square.shape == (16, 16, 3)
    np.testing.assert_array_equal(square, 90)


@pytest.mark.parametrize(("x", "y"), [(2, 3), (58, 38), (-30, 20), (90, -50), (30, 400)])
def test_outside_the_photo_its_edge_is_repeated(noise: np.ndarray, x: int, y: int) -> None:
    rows, columns = np.clip(np.arange(y - 8, y + 8), 0, 39), np.clip(np.arange(x - 8, x + 8), 0, 59)
    square = cut(noise, Placement(x=x, y=y, side_px=16), 16)
    np.testing.assert_array_equal(square, noise[rows[:, np.newaxis], columns])


@pytest.mark.parametrize("side_px", [64, 128, 256])
def test_a_fine_pattern_becomes_its_mean_and_no_coarse_one(side_px: int) -> None:
    stripes = np.zeros((300, 300, 3), np.uint8)
    stripes[:, ::2] = 255
    square = cut(stripes, Placement(x=150, y=150, side_px=side_px), 32)
    assert np.abs(square.astype(int) - 127.5).max() < 12


@pytest.mark.parametrize("cutter", [cut, cut_coarsely])
@pytest.mark.parametrize("side_px", [20, 32, 47.5, 150.3, 250])
def test_places_keep_their_place_at_every_size(cutter, side_px: float) -> None:
    """On a slope, a pixel's value tells where it was taken: within half a pixel of the square's own."""
    slope = np.linspace(0, 255, 300)
    photo = np.stack([np.tile(slope, (300, 1)), np.tile(slope[:, np.newaxis], (1, 300)), np.zeros((300, 300))], axis=-1)
    placement = Placement(x=151.7, y=149.2, side_px=side_px, roll_rad=0.3)
    square = cutter(np.rint(photo).astype(np.uint8), placement, 32)
    matrix = placement.matrix(32)
    across, down = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5)
    x, y = (row[0] * across + row[1] * down + row[2] for row in matrix)
    step = side_px / 32
    inner = np.s_[4:-4, 4:-4]
    for channel, expected in ((0, x), (1, y)):
        difference = square[inner][..., channel] - (expected[inner] - 0.5) * 255 / 299
        assert np.abs(difference).max() < 1.5 + 0.3 * step
        # Means of two pixels that differ by one are rounded up: once, and twice where groups are averaged first.
        assert abs(difference.mean()) < (0.75 if step > 4 else 0.25)
