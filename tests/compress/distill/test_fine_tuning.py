"""Fine-tuning: its own steps and rates, the losses and the discriminator of the distillation."""

from typing import Any

import pytest

from compress.config import to_mapping
from compress.distill.config import DistillConfig, FitConfig, TrainConfig
from compress.distill.fine_tuning import dropped_losses, fine_tuning_config
from compress.errors import UsageError

DISTILLED = DistillConfig(
    image_size_px=64, steps=1000, learning_rate=1e-2, l1_weight=3.0, hint_weight=1.0, hint_depth="trunk",
    adversarial_weight=2.0, adversarial_from_step=250, matching_weight=0.5, discriminator="patch",
    discriminator_filters=4, discriminator_crop_px=32, l1_final_scale=0.1,
)  # fmt: skip
TRAIN = TrainConfig(steps=40, learning_rate=1e-3, seed=5)


def _fine_tuning(distilled: dict[str, Any], *, folded: bool = False, train: TrainConfig = TRAIN) -> FitConfig:
    return fine_tuning_config(train, distilled, folded=folded, origin="student config")


def test_losses_and_discriminator_are_those_of_the_distillation_and_the_rest_the_stages_own() -> None:
    found = _fine_tuning(to_mapping(DISTILLED))
    assert (found.steps, found.learning_rate, found.seed) == (40, 1e-3, 5)
    assert (found.l1_weight, found.hint_weight, found.hint_depth, found.l1_final_scale) == (3.0, 1.0, "trunk", 0.1)
    assert (found.adversarial_weight, found.matching_weight, found.discriminator_filters) == (2.0, 0.5, 4)


def test_what_a_manifest_lacks_has_its_default() -> None:
    found = _fine_tuning({"domain": "B", "groups": []})
    assert found == FitConfig(steps=40, learning_rate=1e-3, seed=5, discriminator="patch")


@pytest.mark.parametrize(
    ("begin", "share", "step"), [(250, 0.25, 10), (0.5, 0.5, 20), (0, 0, 0), (1, 0.001, 0), (0.999, 0.999, 40)]
)
def test_the_discriminator_comes_in_after_the_same_share_of_the_steps(begin: float, share: float, step: int) -> None:
    found = _fine_tuning(to_mapping(DISTILLED) | {"adversarial_from_step": begin})
    assert (found.adversarial_from_step, found.turning_step) == (share, step)


def test_a_step_at_which_nothing_began_is_no_share() -> None:
    config = DistillConfig(steps=10, adversarial_from_step=20)
    assert _fine_tuning(to_mapping(config)).adversarial_from_step == 0.1


def test_a_chain_of_stages_keeps_the_losses() -> None:
    first = _fine_tuning(to_mapping(DISTILLED))
    assert _fine_tuning(to_mapping(first)) == first


def test_cutting_without_training_is_possible_after_any_distillation() -> None:
    assert _fine_tuning(to_mapping(DISTILLED), train=TrainConfig(steps=0)).turning_step == 0


def test_a_folded_student_is_trained_without_discriminator_and_hints() -> None:
    found = _fine_tuning(to_mapping(DISTILLED), folded=True)
    assert (found.adversarial_weight, found.matching_weight, found.hint_weight) == (0, 0, 0)
    assert (found.l1_weight, found.l1_final_scale, found.discriminator_crop_px) == (3.0, 0.1, 32)
    assert dropped_losses(to_mapping(DISTILLED)) == [
        "adversarial_weight = 2.0", "matching_weight = 0.5", "hint_weight = 1.0",
    ]  # fmt: skip
    assert dropped_losses(to_mapping(DistillConfig())) == []


def test_a_manifest_of_wrong_values_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="student config: l1_weight = 'much'"):
        _fine_tuning({"l1_weight": "much"})
