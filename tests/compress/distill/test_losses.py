"""Losses against slow NumPy versions of their papers' formulas."""

import numpy as np
import pytest
from keras import ops

from compress.distill import losses


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    teacher = random.uniform(-1, 1, (2, 24, 20, 3)).astype(np.float32)
    student = np.clip(teacher + random.normal(0, 0.2, teacher.shape), -1, 1).astype(np.float32)
    return student, teacher


def _ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Wang et al. 2004, window by window, in float64."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    values = []
    for channel in range(3):
        for row in range(first.shape[0] - 10):
            for column in range(first.shape[1] - 10):
                one = first[row : row + 11, column : column + 11, channel].astype(np.float64)
                two = second[row : row + 11, column : column + 11, channel].astype(np.float64)
                mean_one, mean_two = (window * one).sum(), (window * two).sum()
                variance_one = (window * (one - mean_one) ** 2).sum()
                variance_two = (window * (two - mean_two) ** 2).sum()
                covariance = (window * (one - mean_one) * (two - mean_two)).sum()
                numerator = (2 * mean_one * mean_two + 0.02**2) * (2 * covariance + 0.06**2)
                denominator = (mean_one**2 + mean_two**2 + 0.02**2) * (variance_one + variance_two + 0.06**2)
                values.append(numerator / denominator)
    return float(np.mean(values))


def test_dissimilarity_is_one_minus_the_papers_ssim(pair: tuple[np.ndarray, np.ndarray]) -> None:
    student, teacher = pair
    expected = 1 - np.mean([_ssim(*images) for images in zip(student, teacher, strict=True)])
    assert float(losses.dissimilarity(student, teacher)) == pytest.approx(expected, abs=1e-4)


def test_l1_and_gradient_difference_match_numpy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    student, teacher = pair
    difference = student - teacher
    rows, columns = np.abs(np.diff(difference, axis=1)).mean(), np.abs(np.diff(difference, axis=2)).mean()
    assert float(losses.l1(student, teacher)) == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert float(losses.gradient_difference(student, teacher)) == pytest.approx(rows + columns, rel=1e-5)


def test_psnr_matches_its_definition_on_bytes(pair: tuple[np.ndarray, np.ndarray]) -> None:
    student, teacher = pair
    errors = ((student - teacher) * 127.5) ** 2
    expected = np.mean([10 * np.log10(255**2 / image.mean()) for image in errors])
    assert float(losses.psnr(student, teacher)) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("loss", [losses.l1, losses.dissimilarity, losses.gradient_difference])
def test_a_loss_of_equal_images_is_zero(loss) -> None:
    image = ops.convert_to_tensor(np.random.default_rng(1).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32))
    assert float(loss(image, image)) == pytest.approx(0, abs=1e-6)
