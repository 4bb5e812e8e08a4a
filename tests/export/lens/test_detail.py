"""Detail beyond the model's size: kept where the model tones, changed as it changes, left out where it draws."""

import numpy as np
import pytest
from PIL import Image

from compress.faces.cut import cut
from compress.faces.template import Placement
from compress.images import psnr_db
from export.lens.detail import local_gain
from export.lens.paste import Photo, feathered_mask, paste

SIZE, FACTOR = 64, 4
SIDE = SIZE * FACTOR
WHOLE = Placement(x=SIDE / 2, y=SIDE / 2, side_px=SIDE)


@pytest.fixture
def photo() -> np.ndarray:
    """Coarse blobs with fine grain of the same colour over them."""
    random = np.random.default_rng(0)
    blobs = Image.fromarray(random.integers(60, 190, (16, 16, 3), dtype=np.uint8)).resize((SIDE, SIDE))
    grain = random.integers(-12, 13, (SIDE, SIDE, 1))
    return (np.asarray(blobs) + grain).astype(np.uint8)


def enlarged(photo: np.ndarray, make) -> np.ndarray:
    """The photo with what a model makes of it pasted over all of it."""
    before = np.asarray(Image.fromarray(photo).reduce(FACTOR))
    pasted = photo.copy()
    mask = np.full((SIZE, SIZE), 255, np.uint8)
    paste(Photo(pasted), before, make(before), WHOLE, mask, detail="local-affine")
    return pasted


def beyond(picture: np.ndarray) -> np.ndarray:
    """What a picture of the model's size cannot hold."""
    coarse = Image.fromarray(picture).reduce(FACTOR).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return picture.astype(float) - np.asarray(coarse)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda seen: 255 - seen, id="negative"),
        pytest.param(lambda seen: seen // 2 + 40, id="less contrast"),
        pytest.param(lambda seen: np.rint(255 * (seen / 255) ** 0.7).astype(np.uint8), id="tone curve"),
    ],
)
def test_what_the_model_does_to_tones_it_does_to_detail_too(photo: np.ndarray, make) -> None:
    pasted, truth = enlarged(photo, make), make(photo)
    plain = np.asarray(Image.fromarray(make(np.asarray(Image.fromarray(photo).reduce(FACTOR)))).resize((SIDE, SIDE)))
    assert psnr_db(pasted.astype(float) - truth, peak=255) > psnr_db(plain.astype(float) - truth, peak=255) + 3
    assert np.corrcoef(beyond(pasted).ravel(), beyond(truth).ravel())[0, 1] > 0.9


def test_no_detail_goes_where_the_model_draws_something_else(photo: np.ndarray) -> None:
    drawn = np.random.default_rng(1).integers(0, 2, (SIZE, SIZE, 1), dtype=np.uint8) * np.full(3, 255, np.uint8)
    pasted = enlarged(photo, lambda _: drawn)
    plain = np.asarray(Image.fromarray(drawn).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert np.abs(pasted.astype(int) - plain).mean() < 1


@pytest.mark.parametrize("side_px", [65, 76, 78, 150, 230])
@pytest.mark.parametrize("roll_rad", [0.0, 0.4, np.pi / 2])
def test_what_the_model_leaves_alone_stays_bit_by_bit_in_squares_of_any_size(side_px: int, roll_rad: float) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    placement = Placement(x=150.3, y=121.8, side_px=side_px, roll_rad=roll_rad)
    square = cut(noise, placement, SIZE)
    pasted = noise.copy()
    paste(Photo(pasted), square, square, placement, feathered_mask(SIZE, 0.12), detail="local-affine")
    np.testing.assert_array_equal(pasted, noise)


@pytest.mark.parametrize("side_px", [70, 150])
def test_the_photo_that_was_is_asked_for_detail_and_not_what_was_pasted_since(side_px: int) -> None:
    photo = np.random.default_rng(3).integers(100, 140, (240, 320, 3), dtype=np.uint8)
    placement = Placement(x=150, y=120, side_px=side_px)
    square, mask = cut(photo, placement, SIZE), feathered_mask(SIZE, 0.12)
    once, over_black = photo.copy(), photo.copy()
    paste(Photo(once), square, square + 40, placement, mask, detail="local-affine", original=photo)
    over_black[110:130, 140:160] = 0
    paste(Photo(over_black), square, square + 40, placement, mask, detail="local-affine", original=photo)
    np.testing.assert_array_equal(over_black[115:125, 145:155], once[115:125, 145:155])


def test_gains_agree_with_a_fit_in_each_window() -> None:
    random = np.random.default_rng(4)
    before = random.integers(0, 256, (40, 11, 3)).astype(np.int16)
    after = np.clip(before // 2 + random.integers(0, 30, before.shape), 0, 255).astype(np.int16)
    one, other = (np.pad(picture / 255, [(3, 3), (3, 3), (0, 0)], mode="edge") for picture in (before, after))
    fitted = np.zeros((42, 13, 3))
    for y, x, channel in np.ndindex(fitted.shape):
        window = np.s_[y : y + 5, x : x + 5, channel]
        (variance, shared), (_, spread) = np.cov(one[window].ravel(), other[window].ravel(), bias=True)
        gain = (shared + 1e-3) / (variance + 1e-3)
        left = spread - 2 * gain * shared + gain**2 * variance
        fitted[y, x, channel] = np.clip(gain, -2, 2) * np.exp(-left / 0.1**2)
    smooth = np.lib.stride_tricks.sliding_window_view(fitted, (3, 3), axis=(0, 1)).mean(axis=(-2, -1))
    np.testing.assert_allclose(local_gain(before, after), 64 * smooth, atol=0.51)
