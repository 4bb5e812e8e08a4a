"""Pasting back: exact outside the mask, faithful inside, at any size and turn, in photos of any transparency."""

import numpy as np
import pytest
from PIL import Image

from compress.faces.cut import cut
from compress.faces.template import Placement
from compress.images import psnr_db
from export.lens.paste import Photo, feathered_mask, paste

SIZE = 64


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)


def smooth_photo(height: int, width: int) -> np.ndarray:
    """A photo without detail that a square of 64 pixels could not hold."""
    coarse = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def covered(placement: Placement, mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Where pasting white on black leaves a trace: the pixels inside the mask."""
    black = np.zeros(shape, np.uint8)
    paste(
        Photo(black),
        black[:1, :1].repeat(SIZE, 0).repeat(SIZE, 1),
        np.full((SIZE, SIZE, 3), 255, np.uint8),
        placement,
        mask,
    )
    return black.max(axis=-1) > 0


PLACEMENTS = [
    pytest.param(Placement(x=160, y=120, side_px=40), id="small"),
    pytest.param(Placement(x=160, y=120, side_px=40, roll_rad=0.5), id="small and turned"),
    pytest.param(Placement(x=160, y=120, side_px=150), id="large"),
    pytest.param(Placement(x=160.4, y=119.7, side_px=150, roll_rad=-0.3), id="large and turned"),
    pytest.param(Placement(x=160, y=120, side_px=150, roll_rad=np.pi / 2), id="large and on its side"),
    pytest.param(Placement(x=300, y=10, side_px=150, roll_rad=0.1), id="cut by the frame"),
]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_pixels_outside_the_mask_stay_as_they_are(noise: np.ndarray, placement: Placement) -> None:
    mask = feathered_mask(SIZE, 0.12)
    inside = covered(placement, mask, noise.shape)
    pasted = noise.copy()
    paste(Photo(pasted), cut(noise, placement, SIZE), np.full((SIZE, SIZE, 3), 255, np.uint8), placement, mask)
    np.testing.assert_array_equal(pasted[~inside], noise[~inside])
    assert (pasted[inside] != noise[inside]).any()
    assert inside.sum() > 0.25 * min(placement.side_px**2, 150 * 20)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_what_the_model_leaves_alone_stays_as_it_was(placement: Placement) -> None:
    photo = smooth_photo(240, 320)
    pasted = photo.copy()
    square = cut(photo, placement, SIZE)
    mask = feathered_mask(SIZE, 0.12)
    paste(Photo(pasted), square, square, placement, mask)
    inside = covered(placement, mask, photo.shape)
    difference = pasted[inside].astype(int) - photo[inside]
    assert psnr_db(difference, peak=255) >= 45
    if placement.side_px <= SIZE:
        np.testing.assert_array_equal(pasted, photo)


@pytest.mark.parametrize("side_px", [40, 64, 65, 150])
def test_a_small_square_keeps_detail_that_resampling_would_lose(noise: np.ndarray, side_px: int) -> None:
    placement = Placement(x=160.3, y=120.6, side_px=side_px, roll_rad=0.2)
    square = cut(noise, placement, SIZE)
    pasted = noise.copy()
    paste(Photo(pasted), square, square, placement, feathered_mask(SIZE, 0.12))
    assert (pasted == noise).all() == (side_px <= SIZE)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_place_of_the_square_is_pasted_at_its_place_in_the_photo(placement: Placement) -> None:
    """A square that is the photo with a spot in it: the spot appears where the square's place lies, in its colour."""
    photo = np.full((240, 320, 3), 90, np.uint8)
    square = cut(photo, placement, SIZE)
    spotted = square.copy()
    spotted[36:46, 14:24] = (250, 20, 20)
    pasted = photo.copy()
    paste(Photo(pasted), square, spotted, placement, feathered_mask(SIZE, 0.12))
    weight = np.abs(pasted.astype(int) - photo).sum(axis=-1)
    matrix = placement.matrix(SIZE)
    expected = matrix[:, :2] @ (19, 41) + matrix[:, 2]
    rows, columns = np.indices(weight.shape)
    found = [(weight * (columns + 0.5)).sum() / weight.sum(), (weight * (rows + 0.5)).sum() / weight.sum()]
    if placement.y > 50:
        np.testing.assert_allclose(found, expected, atol=0.6)
        x, y = expected.astype(int)
        assert np.abs(pasted[y, x].astype(int) - (250, 20, 20)).max() <= 3


@pytest.mark.parametrize("centre", [(-500, 100), (100, 900)])
def test_a_square_beside_the_photo_changes_nothing(noise: np.ndarray, centre: tuple[int, int]) -> None:
    pasted = noise.copy()
    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    paste(Photo(pasted), black, black, Placement(x=centre[0], y=centre[1], side_px=90), feathered_mask(SIZE, 0.12))
    np.testing.assert_array_equal(pasted, noise)


@pytest.mark.parametrize("feather", [0.02, 0.12, 0.5])
def test_the_mask_falls_off_smoothly_to_nothing(feather: float) -> None:
    mask = feathered_mask(256, feather).astype(int)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert border.max() == 0
    assert mask[128, 128] >= 254
    np.testing.assert_array_equal(mask, mask.T)
    np.testing.assert_array_equal(mask, mask[::-1])
    # The steepest place of a smooth step is half as steep again as a straight one.
    assert np.abs(np.diff(mask[128])).max() <= max(1.5 * 255 / (feather * 256) + 1, 1)


@pytest.mark.parametrize("side_px", [40, 150])
@pytest.mark.parametrize("opacity", [0, 60, 128, 255])
def test_a_transparent_photo_looks_as_if_pasted_on_white(side_px: int, opacity: int) -> None:
    photo = smooth_photo(240, 320) // 2
    transparency = np.full((240, 320), opacity, np.uint8)
    placement = Placement(x=160, y=120, side_px=side_px)
    seen = Photo(photo, transparency).seen()
    square = cut(seen, placement, SIZE)
    translated = square // 2 + square.min() // 2
    pasted, on_white = photo.copy(), seen.copy()
    mask = feathered_mask(SIZE, 0.12)
    paste(Photo(pasted, transparency), square, translated, placement, mask)
    paste(Photo(on_white), square, translated, placement, mask)
    assert (transparency == opacity).all()
    if opacity == 0:
        np.testing.assert_array_equal(pasted, photo)
    elif opacity > 60:
        difference = Photo(pasted, transparency).seen().astype(int) - on_white
        # Colours cannot be darker than black: a photo that is nearly clear cannot be made dark.
        reachable = on_white >= 255 - opacity
        assert np.abs(difference[reachable]).max() <= 2
