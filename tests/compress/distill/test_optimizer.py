"""Adam of a student: a ramped average, clipped gradients, and a discriminator of its own rate and momentum."""

from typing import Any

import keras
import numpy as np
import pytest

from compress.distill.config import TrainConfig
from compress.distill.optimizer import LARGEST_GRADIENT, StudentAdam, adam_settings


def _variable(value: float = 0.0) -> Any:
    return keras.Variable(np.full(2, value, np.float32))


def test_the_average_forgets_the_first_weights_and_grows_long_with_the_steps() -> None:
    optimizer, variable = StudentAdam(**adam_settings(TrainConfig(learning_rate=0.1, ema_momentum=0.9))), _variable(5.0)
    optimizer.build([variable])
    average = np.asarray(variable)
    for step in range(120):
        optimizer.apply([np.ones(2, np.float32)], [variable])
        momentum = 0.0 if step == 0 else min(0.9, (1 + step) / (10 + step))
        average = momentum * average + (1 - momentum) * np.asarray(variable)
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(np.asarray(variable), average, rtol=1e-4)


def test_gradients_of_the_student_are_clipped_together_and_the_discriminators_are_not() -> None:
    optimizer = StudentAdam([1], learning_rate=0.1, beta_1=0.0, beta_2=0.0, epsilon=100.0)
    student, discriminator = _variable(), _variable()
    optimizer.apply([np.full(2, 300.0, np.float32), np.full(2, 300.0, np.float32)], [student, discriminator])
    clipped = LARGEST_GRADIENT / np.sqrt(2)
    # With so large an epsilon Adam's step tells the gradient: 0.1 * gradient / (gradient + 100).
    np.testing.assert_allclose(np.asarray(student), -0.1 * clipped / (clipped + 100), rtol=1e-3)
    np.testing.assert_allclose(np.asarray(discriminator), -0.1 * 300 / 400, rtol=1e-3)


def test_small_gradients_are_left_alone() -> None:
    optimizer, student = StudentAdam(learning_rate=0.1, beta_1=0.0, beta_2=0.0, epsilon=1.0), _variable()
    optimizer.apply([np.full(2, 1.0, np.float32)], [student])
    np.testing.assert_allclose(np.asarray(student), -0.05, rtol=1e-4)


def test_a_discriminator_moves_at_its_own_rate_and_without_momentum() -> None:
    optimizer = StudentAdam([1], 0.1, learning_rate=0.1, beta_1=0.9, beta_2=0.0)
    student, discriminator = _variable(), _variable()
    for gradient in (1.0, -1.0):
        optimizer.apply([np.full(2, gradient, np.float32)] * 2, [student, discriminator])
    # Without momentum the second step undoes the first; with it the student goes on or stays behind.
    np.testing.assert_allclose(np.asarray(discriminator), 0, atol=1e-6)
    assert np.asarray(student)[0] == pytest.approx(-0.1 + 0.1 * (0.1 - 0.09) / 0.19, rel=1e-3)
    assert optimizer.beta_1 == 0.9
