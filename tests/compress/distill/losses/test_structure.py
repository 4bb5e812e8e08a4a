"""SSIM at one scale and at several, window by window in float64."""

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from compress.distill import losses
from compress.distill.losses import structure

Pair = tuple[np.ndarray, np.ndarray]

POWERS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def _comparisons(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wang et al. 2004 for one channel, at every second place: the maps of luminance, and of contrast and structure."""
    offsets = np.arange(11) - 5
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    one, two = (sliding_window_view(image.astype(np.float64), (11, 11))[::2, ::2] for image in (first, second))

    def weighted(values: np.ndarray) -> np.ndarray:
        return (values * window).sum(axis=(2, 3))

    mean_one, mean_two = weighted(one), weighted(two)
    from_one, from_two = one - mean_one[..., None, None], two - mean_two[..., None, None]
    variances = weighted(from_one**2) + weighted(from_two**2)
    luminance = (2 * mean_one * mean_two + 0.02**2) / (mean_one**2 + mean_two**2 + 0.02**2)
    return luminance, (2 * weighted(from_one * from_two) + 0.06**2) / (variances + 0.06**2)


def _halved(image: np.ndarray) -> np.ndarray:
    height, width = (side // 2 * 2 for side in image.shape)
    return image[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def _multi_scale(first: np.ndarray, second: np.ndarray, scales: int) -> float:
    """Wang et al. 2003 for one channel."""
    similarity, powers = 1.0, POWERS[:scales] / POWERS[:scales].sum()
    for scale, power in enumerate(powers):
        luminance, structure = _comparisons(first, second)
        similarity *= structure.mean() ** power
        if scale == scales - 1:
            similarity *= luminance.mean() ** power
        first, second = _halved(first), _halved(second)
    return similarity


def _channels(pair: Pair) -> list[Pair]:
    student, teacher = (images.transpose(0, 3, 1, 2).reshape(-1, *images.shape[1:3]) for images in pair)
    return list(zip(student, teacher, strict=True))


def test_dissimilarity_is_one_minus_the_papers_ssim(pair: Pair) -> None:
    expected = 1 - np.mean([np.mean(np.multiply(*_comparisons(*channel))) for channel in _channels(pair)])
    assert float(losses.ssim_loss(*pair)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("side", "scales"), [(21, 1), (26, 2), (176, 5)])
def test_multi_scale_dissimilarity_takes_as_many_of_the_papers_scales_as_fit(side: int, scales: int) -> None:
    random = np.random.default_rng(side)
    teacher = random.uniform(-1, 1, (1, side, side + 3, 3)).astype(np.float32)
    student = (teacher + random.normal(0, 0.2, teacher.shape)).astype(np.float32)
    expected = 1 - np.mean([_multi_scale(*channel, scales) for channel in _channels((student, teacher))])
    assert float(losses.ms_ssim_loss(student, teacher)) == pytest.approx(expected, abs=1e-4)


def test_opposite_images_are_as_dissimilar_as_can_be_and_no_more(pair: Pair) -> None:
    student, _ = pair
    # Structure is negative then, which has no power of 0.0448.
    assert 0.9 < float(losses.ms_ssim_loss(student, -student)) <= 1


def test_images_smaller_than_the_window_are_refused() -> None:
    image = np.zeros((1, 8, 40, 3), np.float32)
    with pytest.raises(ValueError, match="8 pixels, expected at least 11"):
        losses.ms_ssim_loss(image, image)


def test_every_pixel_that_windows_surround_counts_alike() -> None:
    impulses = np.eye(64, dtype=np.float32)[None, ..., None]
    weights = np.asarray(structure._blur_columns(impulses)).sum(axis=1)[0, 11:-11, 0]
    assert weights == pytest.approx(np.full(42, weights.mean()), rel=2e-4)
