"""Channel-wise attention, against NumPy."""

import numpy as np
import pytest

from compress.distill import losses

Pair = tuple[np.ndarray, np.ndarray]


def _attention(features: np.ndarray, temperature: float) -> np.ndarray:
    flat = np.exp(features.reshape(len(features), -1, features.shape[-1]).astype(np.float64) / temperature)
    return flat / flat.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_channel_divergence_matches_numpy(features: Pair, temperature: float) -> None:
    student, teacher = (_attention(one, temperature) for one in features)
    expected = temperature**2 * (teacher * np.log(teacher / student)).sum(axis=1).mean()
    found = losses.channel_distillation_loss(*features, temperature=temperature)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_an_even_look_at_what_the_teacher_looks_at_three_to_one() -> None:
    teacher = np.log(np.array([3.0, 1.0], np.float32)).reshape(1, 2, 1, 1)
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    found = losses.channel_distillation_loss(np.zeros_like(teacher), teacher, temperature=1.0)
    assert float(found) == pytest.approx(expected, abs=1e-6)
