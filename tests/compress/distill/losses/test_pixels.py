"""Losses of single pixels, against NumPy."""

import numpy as np
import pytest

from compress.distill import losses

Pair = tuple[np.ndarray, np.ndarray]


def test_l1_and_gradient_difference_match_numpy(pair: Pair) -> None:
    student, teacher = pair
    difference = student - teacher
    rows, columns = np.abs(np.diff(difference, axis=1)).mean(), np.abs(np.diff(difference, axis=2)).mean()
    assert float(losses.l1_loss(student, teacher)) == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert float(losses.gradient_loss(student, teacher)) == pytest.approx(rows + columns, rel=1e-5)


def test_a_shift_of_colour_costs_l1_and_no_gradient(pair: Pair) -> None:
    student, _ = pair
    assert float(losses.l1_loss(student, student + 0.25)) == pytest.approx(0.25, abs=1e-6)
    assert float(losses.gradient_loss(student, student + 0.25)) == pytest.approx(0, abs=1e-6)


def test_total_variation_matches_numpy(pair: Pair) -> None:
    student, _ = pair
    expected = np.abs(np.diff(student, axis=1)).mean() + np.abs(np.diff(student, axis=2)).mean()
    assert float(losses.total_variation(student)) == pytest.approx(expected, rel=1e-5)


def test_total_variation_of_a_slope_is_its_steepness_and_of_one_colour_nothing() -> None:
    slope = np.zeros((1, 5, 4, 3), np.float32) + np.arange(5, dtype=np.float32)[None, :, None, None] / 10
    assert float(losses.total_variation(slope)) == pytest.approx(0.1, abs=1e-6)
    assert float(losses.total_variation(np.full((1, 5, 4, 3), 0.7, np.float32))) == 0


def test_coarse_difference_is_that_of_the_means_of_squares() -> None:
    student, teacher = (
        np.random.default_rng(seed).uniform(-1, 1, (2, 32, 48, 3)).astype(np.float32) for seed in (0, 1)
    )
    squares = (student - teacher).reshape(2, 2, 16, 3, 16, 3).mean(axis=(2, 4))
    assert float(losses.coarse_loss(student, teacher)) == pytest.approx(np.abs(squares).mean(), rel=1e-4)


def test_coarse_difference_sees_colours_and_no_stripes() -> None:
    stripes = np.zeros((1, 32, 32, 3), np.float32) + np.tile([0.5, 0.5, -0.5, -0.5], 8)[None, None, :, None]
    shifted = np.roll(stripes, 1, axis=2).astype(np.float32)
    assert float(losses.coarse_loss(shifted, stripes.astype(np.float32))) == pytest.approx(0, abs=1e-6)
    assert float(losses.coarse_loss(shifted + 0.25, stripes.astype(np.float32))) == pytest.approx(0.25, abs=1e-6)
