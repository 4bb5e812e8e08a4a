"""PSNR, SSIM, MS-SSIM and colour against closed forms and independent versions, and the pairing of folders."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from compress.errors import UnusableData
from compress.images import read_image
from eval import similarity
from eval.similarity.colour import colour_offset
from eval.similarity.ms_ssim import ms_ssim
from eval.similarity.ssim import ssim


def noise(seed: int, height: int = 15, width: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def slow_ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Wang et al. 2004, equation 13, window by window."""
    weights = {
        (row, column): math.exp(-((row - 5) ** 2 + (column - 5) ** 2) / (2 * 1.5**2))
        for row in range(11)
        for column in range(11)
    }
    total = sum(weights.values())
    values = []
    for top in range(first.shape[0] - 10):
        for left in range(first.shape[1] - 10):
            for channel in range(3):
                pairs = [
                    (
                        weight / total,
                        float(first[top + y, left + x, channel]),
                        float(second[top + y, left + x, channel]),
                    )
                    for (y, x), weight in weights.items()
                ]
                mean_x, mean_y = sum(w * x for w, x, _ in pairs), sum(w * y for w, _, y in pairs)
                var_x = sum(w * (x - mean_x) ** 2 for w, x, _ in pairs)
                var_y = sum(w * (y - mean_y) ** 2 for w, _, y in pairs)
                cov = sum(w * (x - mean_x) * (y - mean_y) for w, x, y in pairs)
                c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
                values.append(
                    (2 * mean_x * mean_y + c1) * (2 * cov + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
                )
    return sum(values) / len(values)


def psnr_db(ours: np.ndarray, theirs: np.ndarray) -> float | None:
    return similarity.compare_images(ours, theirs, with_ssim=False).psnr_db


def test_psnr_of_a_uniform_error_is_its_closed_form() -> None:
    image = np.full((4, 5, 3), 100, dtype=np.uint8)
    assert psnr_db(image, image + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_does_not_wrap_around_at_black_and_white() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert psnr_db(black, white) == pytest.approx(0.0)


def test_equal_images_have_no_psnr_and_full_ssim() -> None:
    assert psnr_db(noise(0), noise(0)) is None
    assert ssim(noise(0), noise(0)) == pytest.approx(1.0)


def test_ssim_equals_a_slow_version_window_by_window() -> None:
    first = noise(1)
    second = (first // 2 + noise(2) // 3).astype(np.uint8)
    assert ssim(first, second) == pytest.approx(slow_ssim(first, second), abs=1e-12)


def test_ssim_refuses_an_image_smaller_than_its_window() -> None:
    with pytest.raises(UnusableData, match="at least 11 px"):
        ssim(noise(0, height=10), noise(1, height=10))


def smooth(seed: int, height: int, width: int) -> np.ndarray:
    """Soft blobs: unlike noise, they still hold something at a sixteenth of their size."""
    coarse = Image.fromarray(noise(seed, height // 8, width // 8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("height", "width"), [(176, 192), (163, 181)], ids=["even sides", "odd sides"])
def test_ms_ssim_equals_tensorflows(height: int, width: int) -> None:
    import tensorflow as tf

    first = smooth(1, height, width)
    second = np.clip(first.astype(int) // 2 + noise(2, height, width) // 4 + 40, 0, 255).astype(np.uint8)
    expected = tf.image.ssim_multiscale(tf.constant(first), tf.constant(second), 255)
    # TensorFlow computes in float32.
    assert ms_ssim(first, second) == pytest.approx(float(expected), abs=1e-4)
    assert ms_ssim(first, second) != pytest.approx(ssim(first, second), abs=0.05)


def test_ms_ssim_is_one_for_equal_images_and_falls_with_blur() -> None:
    image = smooth(3, 176, 176) // 2 + noise(3, 176, 176) // 2
    blurred = [
        np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius_px))) for radius_px in (1, 2, 4)
    ]
    values = [ms_ssim(image, other) for other in (image, *blurred)]
    assert values[0] == pytest.approx(1.0)
    assert values == sorted(values, reverse=True)
    assert values[3] < 0.9


def test_ms_ssim_of_an_image_and_its_negative_is_zero_and_no_root_of_a_negative_number() -> None:
    image = noise(4, 176, 176)
    assert ms_ssim(image, 255 - image) == 0.0


def test_ms_ssim_takes_161_pixels_and_refuses_160() -> None:
    assert ms_ssim(smooth(5, 161, 161), smooth(5, 161, 161)) == pytest.approx(1.0)
    with pytest.raises(UnusableData, match="160x200 px is too small for MS-SSIM, whose five scales need 161 px a side"):
        ms_ssim(smooth(5, 200, 160), smooth(5, 200, 160))


def test_colour_offset_is_signed_and_of_each_channel() -> None:
    image = noise(6) // 2
    warmer = image + np.array([4, 1, 0], np.uint8)
    assert colour_offset(warmer, image) == pytest.approx((4.0, 1.0, 0.0))
    assert colour_offset(image, warmer) == pytest.approx((-4.0, -1.0, 0.0))


def test_colour_offset_tells_a_cast_from_noise_of_the_same_psnr() -> None:
    image = smooth(7, 64, 64) // 2 + 60
    cast = image + np.uint8(4)
    speckled = image.astype(int) + np.random.default_rng(0).choice([-4, 4], image.shape)
    assert psnr_db(cast, image) == pytest.approx(psnr_db(speckled.astype(np.uint8), image))
    assert min(colour_offset(cast, image)) == pytest.approx(4.0)
    assert np.abs(colour_offset(speckled.astype(np.uint8), image)).max() < 0.3


def test_folder_is_compared_by_stem_whatever_the_format(tmp_path: Path) -> None:
    fake, teacher = tmp_path / "fake", tmp_path / "teacher"
    fake.mkdir()
    teacher.mkdir()
    for stem, error in (("a", 1), ("b", 4), ("c", 0)):
        pixels = np.full((12, 12, 3), 100, np.uint8)
        Image.fromarray(pixels).save(teacher / f"{stem}.webp", lossless=True)
        Image.fromarray(pixels + np.uint8(error)).save(fake / f"{stem}.png")
    record = similarity.compare_folders(fake, teacher).to_mapping()
    decibels = {stem: 20 * math.log10(255 / error) for stem, error in (("a", 1), ("b", 4))}
    assert record["psnr_db"]["mean"] == pytest.approx(sum(decibels.values()) / 2)
    assert record["psnr_db"]["min"] == pytest.approx(decibels["b"])
    assert record["equal_images"] == 1
    assert record["colour_offset"]["mean"] == pytest.approx([5 / 3] * 3)
    assert record["images"]["b"]["colour_offset"] == [4.0] * 3
    assert {stem: image["psnr_db"] for stem, image in record["images"].items()} == pytest.approx(decibels | {"c": None})


def test_unpaired_files_are_refused_by_name(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 7), draw(tmp_path / "teacher", 2)
    (teacher / "001.png").rename(teacher / "other.png")
    with pytest.raises(UnusableData, match=r"001, 002, 003 and 3 more only in .*fake; other only in .*teacher"):
        similarity.compare_folders(fake, teacher)


def test_two_files_of_one_stem_are_refused(tmp_path: Path, draw: Callable[..., Path]) -> None:
    folder = draw(tmp_path / "fake", 2)
    Image.open(folder / "000.png").save(folder / "000.jpg")
    with pytest.raises(UnusableData, match="share a stem"):
        similarity.pair_by_stem(folder, folder)


def test_pairs_of_different_size_are_refused(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 1), draw(tmp_path / "teacher", 1, size_px=48)
    with pytest.raises(UnusableData, match=r"64x64 px, but .* is 48x48 px"):
        similarity.compare_folders(fake, teacher)


def test_either_folder_is_fitted_where_a_size_is_asked_for(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, truth = draw(tmp_path / "fake", 2), draw(tmp_path / "truth", 2, size_px=128)
    for path in fake.iterdir():
        Image.fromarray(read_image(truth / path.name, 64)).save(path)
    for first, second in ((fake, truth), (truth, fake)):
        assert similarity.compare_folders(first, second, size=(64, 64)).to_mapping()["equal_images"] == 2


def test_small_images_have_no_ms_ssim_and_a_note_says_so(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 2), draw(tmp_path / "teacher", 2, seed=1)
    compared = similarity.compare_folders(fake, teacher)
    assert compared.to_mapping()["ms_ssim"] is None
    assert compared.notes == ["ms_ssim: left out, since its five scales need 161 px a side."]
    assert similarity.compare_folders(fake, teacher, with_ssim=False).notes == []


def test_large_images_have_an_ms_ssim(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 2, size_px=176), draw(tmp_path / "teacher", 2, size_px=176, blur_px=2.0)
    compared = similarity.compare_folders(fake, teacher)
    images = [(read_image(fake / name), read_image(teacher / name)) for name in ("000.png", "001.png")]
    assert [one.ms_ssim for one in compared.images.values()] == pytest.approx([ms_ssim(*pair) for pair in images])
    assert compared.notes == []


def test_what_a_network_says_stands_beside_the_rest(tmp_path: Path, draw: Callable[..., Path]) -> None:
    folder = draw(tmp_path / "fake", 2)
    record = similarity.compare_folders(folder, folder).to_mapping({"perceptual_net": {"000": 0.5, "001": 1.5}})
    assert record["perceptual_net"] == {"mean": 1.0, "median": 1.0, "min": 0.5, "max": 1.5}
    assert record["images"]["001"]["perceptual_net"] == 1.5
