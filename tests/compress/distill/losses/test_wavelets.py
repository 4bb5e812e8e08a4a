"""The Haar transform's high bands, against its matrix."""

import numpy as np
import pytest

from compress.distill import losses


def _bands(image: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Coarse band and the three high ones of an image with even sides, by products with the transform's filters."""
    low, high = np.array([1, 1]) / np.sqrt(2), np.array([1, -1]) / np.sqrt(2)
    height, width, channels = image.shape
    squares = image.reshape(height // 2, 2, width // 2, 2, channels)
    coarse, *fine = (
        np.einsum("hawbc,a,b->hwc", squares, down, across)
        for down, across in ((low, low), (low, high), (high, low), (high, high))
    )
    return coarse, fine


def test_wavelet_difference_matches_numpy() -> None:
    random = np.random.default_rng(0)
    student, teacher = (random.uniform(-1, 1, (1, 24, 16, 3)).astype(np.float32) for _ in range(2))
    expected, ours, theirs = 0.0, student[0].astype(np.float64), teacher[0].astype(np.float64)
    for _ in range(3):
        (ours, fine), (theirs, fine_teacher) = _bands(ours), _bands(theirs)
        expected += sum(np.abs(one - other).mean() for one, other in zip(fine, fine_teacher, strict=True))
    assert float(losses.wavelet_difference(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_a_checkerboard_is_all_in_one_band_and_a_shift_of_colour_in_none() -> None:
    rows, columns = np.indices((8, 8))
    board = (1.0 - 2.0 * ((rows + columns) % 2))[None, :, :, None].astype(np.float32).repeat(3, axis=3)
    assert float(losses.wavelet_difference(board, 0 * board)) == pytest.approx(2.0)
    assert float(losses.wavelet_difference(board + 0.3, board)) == pytest.approx(0, abs=1e-6)


def test_levels_end_where_one_pixel_is_left() -> None:
    image = np.random.default_rng(1).uniform(-1, 1, (1, 5, 6, 3)).astype(np.float32)
    two = losses.wavelet_difference(image, 0 * image, levels=2)
    assert float(losses.wavelet_difference(image, 0 * image, levels=9)) == pytest.approx(float(two))
