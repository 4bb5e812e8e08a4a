"""The configuration of a distillation: what is refused, and when the second phase begins."""

from typing import Any

import pytest

from compress.distill.config import DiscriminatorConfig, DistillConfig, LossConfig, TrainConfig
from compress.errors import UsageError

NEW_WEIGHTS = (
    "ms_ssim_weight", "total_variation_weight", "gram_weight", "feature_weight", "channel_weight", "hint_weight",
    "adversarial_weight", "perceptual_weight", "statistics_weight",
)  # fmt: skip


@pytest.mark.parametrize(
    ("values", "named"),
    [
        *(({name: -1.0}, f"{name} = -1.0") for name in ("l1_weight", *NEW_WEIGHTS)),
        ({"gram_weight": float("nan")}, "gram_weight = nan"),
        ({"crop_px": 36}, "crop_px = 36, expected a multiple of 8"),
        ({"crop_px": 264}, "crop_px = 264, expected at most the images' 256"),
        ({"crop_px": 64, "crop_until": 0.0}, "crop_until = 0.0"),
        ({"matching_weight": 1.0, "adversarial_weight": 1.0}, "discriminator = projected"),
        ({"adversarial_weight": 1.0, "image_size_px": 28}, "at least 32"),
        ({"adversarial_weight": 1.0, "discriminator_hold_ratio": 1.0}, "discriminator_hold_ratio = 1.0"),
        ({"adversarial_weight": 1.0, "adversarial_from_step": 6000}, "below steps = 6000"),
        ({"adversarial_weight": 1.0, "adversarial_from_step": 2.5}, "adversarial_from_step = 2.5"),
        ({"adversarial_weight": 1.0, "adversarial_from_step": -0.1}, "adversarial_from_step = -0.1"),
        ({"l1_final_scale": -0.5}, "l1_final_scale = -0.5"),
        ({"discriminator_filters": 0}, "discriminator_filters = 0"),
        ({"matching_weight": 1.0, "discriminator": "patch"}, "an --adversarial-weight above 0"),
        ({"discriminator_crop_px": 31}, "discriminator_crop_px = 31, expected at least 32"),
        ({"discriminator_crop_px": 260}, "discriminator_crop_px = 260, expected at most the images' 256"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name_and_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        DistillConfig(**values)


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (TrainConfig, {"batch_size": 0}, "batch_size = 0"),
        (TrainConfig, {"steps": -1}, "steps = -1"),
        (TrainConfig, {"ema_momentum": 1.0}, "ema_momentum = 1.0"),
        (LossConfig, {"ssim_weight": -1.0}, "ssim_weight = -1.0"),
        (LossConfig, {"l1_final_scale": -0.5}, "l1_final_scale = -0.5"),
        (DiscriminatorConfig, {"adversarial_weight": -1.0}, "adversarial_weight = -1.0"),
        (DiscriminatorConfig, {"adversarial_from_step": 2.5}, "adversarial_from_step = 2.5"),
        (DiscriminatorConfig, {"discriminator_learning_rate": 0.0}, "discriminator_learning_rate = 0.0"),
    ],
)
def test_each_part_checks_its_own_fields(kind: type[Any], values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        kind(**values)


def test_the_new_losses_weigh_nothing_until_asked_for() -> None:
    config = DistillConfig()
    assert {getattr(config, name) for name in NEW_WEIGHTS} == {0.0}
    assert not config.has_phases


@pytest.mark.parametrize(("begin", "step"), [(0, 0), (0.1, 100), (0.999, 999), (1, 1), (250, 250)])
def test_the_discriminator_comes_in_after_a_share_of_the_steps_or_after_some(begin: float, step: int) -> None:
    config = DistillConfig(steps=1000, adversarial_weight=1.0, adversarial_from_step=begin)
    assert config.turning_step == step
    assert config.has_phases


def test_l1_may_be_turned_down_without_a_discriminator() -> None:
    assert DistillConfig(domain="both", l1_final_scale=0.1).has_phases


@pytest.mark.parametrize(
    ("kind", "begin", "learns"), [("patch", 0.1, 100), ("projected", 0.1, 70), ("projected", 500, 350)]
)
def test_a_projected_discriminator_learns_before_the_student_heeds_it(kind: Any, begin: float, learns: int) -> None:
    config = DistillConfig(steps=1000, adversarial_weight=1.0, discriminator=kind, adversarial_from_step=begin)
    assert config.discriminator_step == learns


def test_what_is_not_asked_for_follows_the_kind_of_discriminator() -> None:
    patch, projected = DistillConfig(discriminator="patch"), DistillConfig(discriminator="projected")
    assert (patch.chosen_adversarial_loss, patch.chosen_discriminator_filters) == ("lsgan", 16)
    assert (projected.chosen_adversarial_loss, projected.chosen_discriminator_filters) == ("hinge", 64)
    asked = DistillConfig(adversarial_loss="lsgan", discriminator_filters=8)
    assert (asked.chosen_adversarial_loss, asked.chosen_discriminator_filters) == ("lsgan", 8)


def test_squares_come_before_whole_images() -> None:
    config = DistillConfig(steps=100, crop_px=64, crop_until=0.3)
    assert [config.crops(step) for step in (0, 29, 30, 99)] == [True, True, False, False]
    assert not DistillConfig(steps=100).crops(0)
