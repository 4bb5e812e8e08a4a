"""Colour profiles: what a photo carries is followed, exactly where it matters and not at all where it is sRGB."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from compress.images import colour, has_colours_to_convert, psnr_db, read_image, read_images

Convert = Callable[[np.ndarray], np.ndarray]
CLOSE_DB = 40.0
"""Half a level of rounding here and in LittleCMS's tables is far above."""


@pytest.fixture
def vivid() -> np.ndarray:
    """Soft colours up to the most saturated ones of Display P3, `(32, 48, 3)` uint8."""
    rows, columns = np.meshgrid(np.linspace(0, 255, 32), np.linspace(0, 255, 48), indexing="ij")
    return np.stack([columns, rows, 255 - columns], axis=-1).astype(np.uint8)


def encode_srgb(light: np.ndarray) -> np.ndarray:
    """Linear light to levels of sRGB."""
    return np.rint(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def difference_db(image: np.ndarray, expected: np.ndarray) -> float:
    return psnr_db(image.astype(float) - expected, peak=255.0)


FORMATS: dict[str, dict[str, Any]] = {
    "png": {},
    "jpg": {"quality": 98, "subsampling": 0},
    "webp": {"lossless": True},
    "tif": {"compression": "tiff_lzw"},
    "avif": {"quality": 98, "subsampling": "4:4:4", "speed": 8},
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_display_p3_photo_is_converted_whatever_its_format(
    suffix: str, vivid: np.ndarray, p3_profile: bytes, p3_to_srgb: Convert, tmp_path: Path
) -> None:
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(vivid).save(path, icc_profile=p3_profile, **FORMATS[suffix])
    assert difference_db(read_image(path), p3_to_srgb(vivid)) > CLOSE_DB
    # Untold, it is the error that this is about.
    assert difference_db(vivid, p3_to_srgb(vivid)) < 30
    assert has_colours_to_convert(path)


def test_a_reduced_jpeg_is_converted_too(p3_profile: bytes, p3_to_srgb: Convert, tmp_path: Path) -> None:
    flat = np.full((640, 640, 3), (230, 90, 40), np.uint8)
    Image.fromarray(flat).save(tmp_path / "photo.jpg", icc_profile=p3_profile, quality=98, subsampling=0)
    assert difference_db(read_image(tmp_path / "photo.jpg", 32), p3_to_srgb(flat)[:32, :32]) > CLOSE_DB


@pytest.mark.parametrize("suffix", FORMATS)
def test_srgb_profiles_and_none_leave_every_pixel_as_it_is(suffix: str, vivid: np.ndarray, tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("told", srgb), ("untold", None)):
        Image.fromarray(vivid).save(tmp_path / f"{name}.{suffix}", icc_profile=profile, **FORMATS[suffix])
    np.testing.assert_array_equal(read_image(tmp_path / f"told.{suffix}"), read_image(tmp_path / f"untold.{suffix}"))
    assert not has_colours_to_convert(tmp_path / f"told.{suffix}")
    assert not has_colours_to_convert(tmp_path / f"untold.{suffix}")
    with Image.open(tmp_path / f"untold.{suffix}") as plain:
        np.testing.assert_array_equal(read_image(tmp_path / f"untold.{suffix}"), np.asarray(plain.convert("RGB")))


def test_transparent_photos_are_converted_and_then_laid_on_white(
    vivid: np.ndarray, p3_profile: bytes, p3_to_srgb: Convert, tmp_path: Path
) -> None:
    alpha = np.full((*vivid.shape[:2], 1), 255, np.uint8)
    alpha[:, :24] = 0
    Image.fromarray(np.concatenate([vivid, alpha], axis=-1)).save(tmp_path / "photo.png", icc_profile=p3_profile)
    image = read_image(tmp_path / "photo.png")
    assert (image[:, :24] == 255).all()
    assert difference_db(image[:, 24:], p3_to_srgb(vivid)[:, 24:]) > CLOSE_DB


def test_palettes_are_converted(vivid: np.ndarray, p3_profile: bytes, p3_to_srgb: Convert, tmp_path: Path) -> None:
    palette = Image.fromarray(vivid).quantize(16)
    palette.save(tmp_path / "photo.png", icc_profile=p3_profile)
    assert difference_db(read_image(tmp_path / "photo.png"), p3_to_srgb(np.asarray(palette.convert("RGB")))) > CLOSE_DB


GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize("kind", ["grey", "with alpha", "deep", "with a transparent level"])
def test_grey_pictures_follow_a_profile_of_grey(kind: str, linear_grey_profile: bytes, tmp_path: Path) -> None:
    path, options = tmp_path / "photo.png", dict[str, Any](icc_profile=linear_grey_profile)
    grey, alpha = Image.fromarray(GREYS), Image.new("L", (16, 16), 255)
    match kind:
        case "grey":
            grey.save(path, **options)
        case "with alpha":
            Image.merge("LA", (grey, alpha)).save(path, **options)
        case "deep":
            Image.fromarray(GREYS.astype(np.uint16) * 257).save(path, **options)
        case _:
            grey.save(path, transparency=255, **options)
    image = read_image(path)
    assert np.abs(image[..., 1].astype(int) - encode_srgb(GREYS / 255.0)).max() <= 1
    assert (image[..., 0] == image[..., 2]).all()
    assert has_colours_to_convert(path)


def test_grey_pictures_follow_the_profile_of_colours_that_they_kept(p3_profile: bytes, tmp_path: Path) -> None:
    Image.fromarray(GREYS).save(tmp_path / "photo.png", icc_profile=p3_profile)
    image = read_image(tmp_path / "photo.png").astype(float)
    # Between a power of 2.2 and sRGB's own curve lie 9 levels at most, in the shadows.
    assert 1 < np.abs(image[..., 1] - GREYS).max() < 10
    assert np.abs(np.ptp(image, axis=-1)).max() <= 1


def test_inks_follow_their_profile(ink_profile: bytes, tmp_path: Path) -> None:
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:8, :, 0], inks[:, 8:, 3] = 255, 255
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "print.tif", icc_profile=ink_profile)
    image = read_image(tmp_path / "print.tif").astype(int)
    # Of this printer's inks, cyan leaves the paper white.
    assert image[:, :8].min() > 245
    assert image[:, 8:].max() < 10


BROKEN = {
    "torn": lambda whole: whole[:150],
    "no profile": lambda whole: b"profile" * 100,
    "empty": lambda whole: b"\0",
    "a table out of place": lambda whole: whole[:132] + b"\xff" * 60 + whole[192:],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_profile_is_said_with_the_number_of_such_photos_and_read_as_srgb(
    fault: str, vivid: np.ndarray, p3_profile: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        broken = BROKEN[fault](p3_profile) if name != "b" else None
        Image.fromarray(vivid).save(tmp_path / f"{name}.png", icc_profile=broken)
    with caplog.at_level(logging.WARNING):
        images = [image for _, image in read_images(sorted(tmp_path.iterdir()))]
    assert all((image == vivid).all() for image in images)
    (said,) = caplog.messages
    assert said.startswith("2 of 3 images carry a colour profile that cannot be used, and were read as sRGB, the first")
    assert "a.png" in said
    assert not has_colours_to_convert(tmp_path / "a.png")


@pytest.mark.parametrize(("mode", "profile"), [("RGB", "ink_profile"), ("RGB", "linear_grey_profile"), ("CMYK", "p3")])
def test_a_profile_of_another_kind_of_picture_is_said_once(
    mode: str, profile: str, vivid: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("compress.images._faults_said", set())
    content = request.getfixturevalue("p3_profile" if profile == "p3" else profile)
    picture = Image.fromarray(vivid).convert(mode)
    picture.save(tmp_path / "photo.tif", icc_profile=content)
    with caplog.at_level(logging.WARNING):
        images = [read_image(tmp_path / "photo.tif") for _ in range(2)]
    np.testing.assert_array_equal(images[0], np.asarray(picture.convert("RGB")))
    (said,) = caplog.messages
    assert f"its colour profile cannot be used (it is a profile of {content[16:20].decode().strip()} colours" in said


def test_a_giant_profile_is_not_parsed(vivid: np.ndarray, p3_profile: bytes) -> None:
    giant = p3_profile + bytes(colour.LARGEST_PROFILE_BYTES)
    with pytest.raises(colour.UnusableProfile, match="expected 128 to 4000000"):
        colour.to_srgb(Image.fromarray(vivid), giant)


@pytest.mark.parametrize("name", ["icc_p3_vivid", "modes", "png16"])
def test_photos_of_the_field_are_read_as_their_references(name: str, material: Path) -> None:
    folder = material / "field" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    paths = sorted((folder / name / "testA").iterdir())
    wanted = np.load(folder / f"{name}.ref.npz")["want"]
    assert len(paths) == len(wanted)
    for path, expected in zip(paths, wanted, strict=True):
        assert difference_db(read_image(path, 64), expected) > CLOSE_DB, path.name


def test_few_profiles_named_srgb_are_not(material: Path) -> None:
    """Of the photos of a real data set, 10 carry one that LittleCMS moves a colour by more than a level with."""
    folder = material / "data" / "horse2zebra" / "testB"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    assert sum(map(has_colours_to_convert, sorted(folder.glob("*.jpg")))) == 10
