"""PSNR and SSIM against independent slow versions, and the pairing of folders."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableData
from eval import fidelity


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


def test_psnr_of_a_uniform_error_is_its_closed_form() -> None:
    image = np.full((4, 5, 3), 100, dtype=np.uint8)
    assert fidelity.psnr_db(image, image + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_does_not_wrap_around_at_black_and_white() -> None:
    black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    assert fidelity.psnr_db(black, white) == pytest.approx(0.0)


def test_equal_images_have_no_psnr_and_full_ssim() -> None:
    assert fidelity.psnr_db(noise(0), noise(0)) is None
    assert fidelity.ssim(noise(0), noise(0)) == pytest.approx(1.0)


def test_ssim_equals_a_slow_version_window_by_window() -> None:
    first = noise(1)
    second = (first // 2 + noise(2) // 3).astype(np.uint8)
    assert fidelity.ssim(first, second) == pytest.approx(slow_ssim(first, second), abs=1e-12)


def test_ssim_refuses_an_image_smaller_than_its_window() -> None:
    with pytest.raises(UnusableData, match="at least 11 px"):
        fidelity.ssim(noise(0, height=10), noise(1, height=10))


def test_folder_is_compared_by_stem_whatever_the_format(tmp_path: Path) -> None:
    fake, teacher = tmp_path / "fake", tmp_path / "teacher"
    fake.mkdir()
    teacher.mkdir()
    for stem, error in (("a", 1), ("b", 4), ("c", 0)):
        pixels = np.full((12, 12, 3), 100, np.uint8)
        Image.fromarray(pixels).save(teacher / f"{stem}.webp", lossless=True)
        Image.fromarray(pixels + np.uint8(error)).save(fake / f"{stem}.png")
    record = fidelity.compare(fake, teacher).to_mapping()
    decibels = {stem: 20 * math.log10(255 / error) for stem, error in (("a", 1), ("b", 4))}
    assert record["psnr_db"]["mean"] == pytest.approx(sum(decibels.values()) / 2)
    assert record["psnr_db"]["min"] == pytest.approx(decibels["b"])
    assert record["equal_images"] == 1
    assert {stem: image["psnr_db"] for stem, image in record["images"].items()} == pytest.approx(decibels | {"c": None})


def test_unpaired_files_are_refused_by_name(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 7), draw(tmp_path / "teacher", 2)
    (teacher / "001.png").rename(teacher / "other.png")
    with pytest.raises(UnusableData, match=r"001, 002, 003 and 3 more only in .*fake; other only in .*teacher"):
        fidelity.compare(fake, teacher)


def test_two_files_of_one_stem_are_refused(tmp_path: Path, draw: Callable[..., Path]) -> None:
    folder = draw(tmp_path / "fake", 2)
    Image.open(folder / "000.png").save(folder / "000.jpg")
    with pytest.raises(UnusableData, match="share a stem"):
        fidelity.pair_by_stem(folder, folder)


def test_pairs_of_different_size_are_refused(tmp_path: Path, draw: Callable[..., Path]) -> None:
    fake, teacher = draw(tmp_path / "fake", 1), draw(tmp_path / "teacher", 1, size_px=48)
    with pytest.raises(UnusableData, match=r"64x64 px, but .* is 48x48 px"):
        fidelity.compare(fake, teacher)
