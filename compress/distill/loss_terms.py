"""The table of a student's losses: what each compares, and how much it weighs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from compress.distill import losses
from compress.distill.config import LossConfig

Compared = Literal["images", "cut", "encoded", "perceived", "widened"]
"""Things that a loss compares: the student's and the teacher's image; squares of both; the squares as the teacher's
encoder or as a pretrained network sees them; inner features of the two nets, at equal width."""


@dataclass(frozen=True)
class LossTerm:
    """One loss: the mean over all pairs of what it compares."""

    weight: float
    difference: Callable[[Any, Any], Any]
    compared: Compared = "images"


def loss_terms(config: LossConfig) -> dict[str, LossTerm]:
    """Return the losses that have a weight, by the name that they are logged under."""
    table = {
        "l1": LossTerm(config.l1_weight, losses.l1_loss),
        "coarse": LossTerm(config.coarse_weight, losses.coarse_loss),
        "ssim": LossTerm(config.ssim_weight, losses.ssim_loss),
        "gradient": LossTerm(config.gradient_weight, losses.gradient_loss),
        "ms_ssim": LossTerm(config.ms_ssim_weight, losses.ms_ssim_loss),
        "total_variation": LossTerm(config.total_variation_weight, lambda student, _: losses.total_variation(student)),
        "gram": LossTerm(config.gram_weight, losses.gram_loss, "encoded"),
        "feature": LossTerm(config.feature_weight, losses.feature_loss, "encoded"),
        "channel": LossTerm(config.channel_weight, losses.channel_distillation_loss, "encoded"),
        "perceptual": LossTerm(config.perceptual_weight, losses.normalized_feature_loss, "perceived"),
        "statistics": LossTerm(config.statistics_weight, losses.statistics_loss, "perceived"),
        "hint": LossTerm(config.hint_weight, losses.hint_loss, "widened"),
    }
    return {name: term for name, term in table.items() if term.weight}


def mean_of(values: Sequence[Any]) -> Any:
    """Return the mean of losses, each one number."""
    return sum(values[1:], values[0]) / len(values)
