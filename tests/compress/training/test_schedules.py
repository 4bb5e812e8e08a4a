"""Learning rates by step, against their published forms."""

import pytest

from compress.training.schedules import constant_then_linear, warmup_cosine


def test_the_learning_rate_warms_up_peaks_and_ends_at_a_hundredth() -> None:
    schedule = warmup_cosine(1.0, steps=100, warmup_steps=10)
    rates = [schedule(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0.01)


def test_the_published_schedule_of_cyclegan_is_constant_and_then_falls_to_nothing() -> None:
    schedule = constant_then_linear(2.0, steps=10, decay_steps=4)
    assert [schedule(step) for step in range(11)] == [2.0] * 7 + [1.5, 1.0, 0.5, 0.0]


def test_without_decay_the_rate_stays() -> None:
    schedule = constant_then_linear(2.0, steps=10, decay_steps=0)
    assert {schedule(step) for step in range(10)} == {2.0}
