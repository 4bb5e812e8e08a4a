"""The table of a student's losses: what each compares, and how much it weighs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from compress.distill import losses
from compress.distill.config import FitConfig

Compared = Literal["images", "encoded", "widened"]
"""The student's and the teacher's image; both as the teacher's encoder sees them; what is inside the two nets, at
equal width."""


@dataclass(frozen=True)
class Term:
    """One loss: the mean over all pairs of what it compares."""

    weight: float
    difference: Callable[[Any, Any], Any]
    compared: Compared = "images"


def terms(config: FitConfig) -> dict[str, Term]:
    """The losses that have a weight, by the name they are logged under."""
    table = {
        "l1": Term(config.l1_weight, losses.l1),
        "ssim": Term(config.ssim_weight, losses.dissimilarity),
        "gradient": Term(config.gradient_weight, losses.gradient_difference),
        "ms_ssim": Term(config.ms_ssim_weight, losses.multi_scale_dissimilarity),
        "total_variation": Term(config.total_variation_weight, lambda student, _: losses.total_variation(student)),
        "gram": Term(config.gram_weight, losses.gram_difference, "encoded"),
        "feature": Term(config.feature_weight, losses.feature_difference, "encoded"),
        "channel": Term(config.channel_weight, losses.channel_divergence, "encoded"),
        "hint": Term(config.hint_weight, losses.hint_difference, "widened"),
    }
    return {name: term for name, term in table.items() if term.weight}
