"""Flags of `compress quantize`, the `[quantize]` table of a recipe and the `config` of its artifact's manifest."""

from dataclasses import dataclass
from typing import Literal

from compress.config import require_at_least
from compress.distill.fine_tuning import TuneConfig
from compress.errors import UsageError

Method = Literal["ptq", "qat"]
RangeRule = Literal["photos", "minmax", "percentile", "mse", "measured"]


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig(TuneConfig):
    """Method, ranges and training of a student for int8."""

    # qat also trains a control without the rounding, and keeps what does best on held-back photos.
    method: Method = "qat"
    """ptq (post-training) chooses ranges; qat (quantisation-aware training) also trains with the rounding."""
    # What 95 of 100 photos stay within, the least and greatest value, the middle 99.98 % of the values, the least
    # squared rounding error, or whichever of the four is measured to cost least.
    ranges: RangeRule = "measured"
    """Rule that chooses a tensor's range; measured takes the one that costs least."""
    calibration_images: int = 64
    """Training photos that set the ranges."""
    symmetric: bool = False
    """Centre ranges on zero, as Core ML's faster kernels want it; images and tanh are so anyway."""
    sensitivity: bool = False
    """Also measure what the rounding of each tensor and of each weight costs: a table and a chart."""
    float_ops: int = 0
    """Most operators that stay in float32, where that helps most; writes the table of --sensitivity too."""
    max_bytes: int | None = None
    """Largest int8 file, whatever stays in float."""
    steps: int = 500
    """Steps of qat, and as many of its control."""
    learning_rate: float = 2e-4
    """Peak of Adam's learning rate, warmed up linearly and lowered to a hundredth."""
    warmup_steps: int = 50
    """Steps of linear warm-up."""
    # bfloat16's own steps are as coarse as int8's, so that it cannot see them.
    precision: Literal["mixed_bfloat16", "float32"] = "float32"
    """Arithmetic of training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_at_least(self, calibration_images=1, steps=1, max_bytes=1)
        if self.float_ops < 0:
            raise UsageError(f"float_ops = {self.float_ops}, expected 0 (all in int8) or more operators.")
