"""The flags of `compress prune`, and the `config` of a pruned student's manifest."""

from dataclasses import dataclass
from typing import Literal

from compress.distill.config import TuneConfig
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PruneConfig(TuneConfig):
    """How much of a student goes, which channels, and how the rest is taught what they did."""

    max_bytes: int | None = None
    """Bytes that the pruned student's int8 .tflite may take; this or --max-macs is needed."""
    max_macs: int | None = None
    """Multiply-accumulates that the pruned student may take for an image."""
    importance: Literal["norm", "bn_scale", "taylor"] = "taylor"
    """What channels are ranked by: their weights, BatchNorm's gains, or what the loss on photos would change by."""
    channel_multiple: int = 8
    """What layers keep a multiple of, as phones like it; a few are cut finer where the budget needs it, all
    where it is too small for that many channels a layer."""
    calibration_images: int = 64
    """Training photos that taylor importance looks at."""
    steps: int = 2000
    """Optimiser steps of fine-tuning; 0 leaves the weights as they are cut."""
    learning_rate: float = 1e-3
    """Peak of the Adam learning rate: linear warm-up, then a cosine down to a hundredth of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_bytes is None and self.max_macs is None:
            raise UsageError("no budget given; pass --max-bytes, --max-macs or both.")
        for name, least in (
            ("max_bytes", 1), ("max_macs", 1), ("channel_multiple", 1), ("calibration_images", 1), ("steps", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} = {value}, expected at least {least}.")
