"""The configuration of `compress teach`: what it refuses, and when it trains at which size."""

from typing import Any

import pytest

from compress.errors import UsageError
from compress.teach.config import TeachConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps = 0, expected at least 1"),
        ({"batch_size": 0}, "batch_size = 0, expected at least 1"),
        ({"filters": 0}, "filters = 0, expected at least 1"),
        ({"blocks": -1}, "blocks = -1, expected at least 1"),
        ({"holdout": 0}, "holdout = 0, expected at least 1"),
        ({"sample_every": 0}, "sample_every = 0, expected at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every = 0, expected at least 1"),
        ({"patience": 0}, "patience = 0, expected at least 1"),
        ({"decay_steps": 21}, "decay_steps = 21, expected 0 to steps = 20"),
        ({"quarter_size_steps": 21}, "quarter_size_steps = 21, expected 0 to steps = 20"),
        ({"half_size_steps": -1}, "half_size_steps = -1, expected 0 to steps = 20"),
        ({"anneal_steps": 21}, "anneal_steps = 21, expected 0 to steps = 20"),
        ({"cycle_weight": -0.5}, "cycle_weight = -0.5, expected at least 0"),
        ({"identity_weight": -1.0}, "identity_weight = -1.0, expected at least 0"),
        ({"paired_weight": -1.0}, "paired_weight = -1.0, expected at least 0"),
        ({"pixel_weight": -1.0}, "pixel_weight = -1.0, expected at least 0"),
        (
            {"normalization": "none", "near_identity": True, "filters": 23},
            "filters = 23, expected at least 24 to start as a copy",
        ),
        ({"learning_rate": 0.0}, "learning_rate = 0.0, expected more than 0"),
        ({"load_scale": 0.9}, "load_scale = 0.9, expected 1 to 2"),
        ({"load_scale": 2.1}, "load_scale = 2.1, expected 1 to 2"),
        ({"beta_1": 1.0}, "beta_1 = 1.0, expected 0 up to less than 1"),
        ({"ema_momentum": 1.0}, "ema_momentum = 1.0, expected 0 up to less than 1"),
        ({"ema_momentum": -0.1}, "ema_momentum = -0.1, expected 0 up to less than 1"),
        ({"pool_size": -1}, "pool_size = -1, expected 0 or at least 1, the images of a step"),
        ({"pool_size": 3, "batch_size": 4}, "pool_size = 3, expected 0 or at least 4, the images of a step"),
        ({"image_size_px": 28}, "image_size_px = 28, expected a multiple of 4 and at least 32"),
        ({"image_size_px": 66}, "image_size_px = 66, expected a multiple of 4 and at least 32"),
        ({"image_width_px": 42}, "image_width_px = 42, expected a multiple of 4 and at least 32"),
        (
            {"image_size_px": 60, "half_size_steps": 1},
            "image_size_px = 60, expected a multiple of 8 and at least 64, since training starts at 1/2 of the size",
        ),
        (
            {"image_size_px": 128, "image_width_px": 120, "quarter_size_steps": 1},
            "image_width_px = 120, expected a multiple of 16 and at least 128, since training starts at 1/4",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_value_and_what_could(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        TeachConfig(**{"steps": 20, "decay_steps": 10, **settings})
    assert message in str(refusal.value)


def test_phases_that_outlast_the_training_are_refused() -> None:
    with pytest.raises(UsageError, match="half_size_steps"):
        TeachConfig(image_size_px=128, steps=20, decay_steps=10, quarter_size_steps=12, half_size_steps=9)


def test_the_published_configuration_is_the_default() -> None:
    config = TeachConfig()
    assert config.image_size == (256, 256)
    assert (config.cycle_weight, config.identity_weight, config.pool_size) == (10.0, 5.0, 50)
    assert (config.learning_rate, config.beta_1, config.batch_size) == (2e-4, 0.5, 1)


def test_the_size_grows_after_each_phase() -> None:
    config = TeachConfig(
        image_size_px=128, image_width_px=160, steps=20, decay_steps=0, quarter_size_steps=3, half_size_steps=5
    )
    assert config.image_size == (128, 160)
    assert [config.reduction(step) for step in range(20)] == [4] * 3 + [2] * 5 + [1] * 12
    assert [config.images_per_step(step) for step in (0, 3, 8)] == [4, 2, 1]


def test_a_training_at_one_size_reduces_nothing() -> None:
    assert TeachConfig().reduction(0) == 1


@pytest.mark.parametrize(
    ("quarter", "half", "height", "expected"),
    [
        (0, 0, 128, None),
        (5, 5, 32, None),
        (5, 5, 64, 2),
        (5, 5, 128, 2),
        (5, 0, 128, 4),
        (0, 5, 64, None),
        (0, 5, 128, 2),
    ],
)
def test_each_size_follows_the_next_smaller_one_that_was_trained_at(
    quarter: int, half: int, height: int, expected: int | None
) -> None:
    config = TeachConfig(image_size_px=128, quarter_size_steps=quarter, half_size_steps=half)
    assert config.growth_factor(height) == expected
