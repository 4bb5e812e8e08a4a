"""Flags of `compress prune`, the `[prune]` table of a recipe and the `config` of a pruned student's manifest."""

from dataclasses import dataclass
from typing import Literal

from compress.config import require_at_least
from compress.distill.fine_tuning import TuneConfig
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PruneConfig(TuneConfig):
    """Budget and criterion of pruning, and the fine-tuning after it."""

    max_bytes: int | None = None
    """Bytes that the int8 .tflite may take; this or --max-macs is needed."""
    max_macs: int | None = None
    """Multiply-accumulates that the pruned student may take for an image."""
    importance: Literal["norm", "bn_scale", "taylor"] = "taylor"
    """Rank channels by their weights, by BatchNorm's gains, or by what the loss would change by."""
    # A few layers are cut finer where the budget needs it, all where it is too small for that many channels a layer.
    channel_multiple: int = 8
    """Keep a multiple of this many channels, as phones like it, where the budget allows it."""
    calibration_images: int = 64
    """Training photos that taylor importance looks at."""
    steps: int = 2000
    """Optimiser steps of fine-tuning; 0 leaves the weights as they are cut."""
    learning_rate: float = 1e-3
    """Peak of Adam's learning rate, warmed up linearly and lowered to a hundredth."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_bytes is None and self.max_macs is None:
            raise UsageError("no budget given; pass --max-bytes, --max-macs or both.")
        require_at_least(self, max_bytes=1, max_macs=1, channel_multiple=1, calibration_images=1)
