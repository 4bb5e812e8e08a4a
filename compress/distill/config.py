"""The flags of `compress distill`, the `[distill]` table of a recipe and the `config` of a student's manifest.

How a student is fitted to its teacher's images is shared by the stages that do so.
"""

from dataclasses import dataclass
from typing import Literal

from compress.data.config import Domain
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """Which student is built, and for whose photos."""

    domain: Domain = "A"
    """Whose training photos the teacher translates: trainA, trainB or both."""
    image_size_px: int = 256
    """Side of the square that photos are cropped and resized to, and that the student takes; a multiple of 4."""
    family: Literal["pixel_shuffle", "separable"] = "pixel_shuffle"
    """Kind of student: pixel_shuffle is the fastest, separable keeps the teacher's shape."""
    width: int = 48
    """Channels of the student's trunk."""
    blocks: int = 4
    """Residual blocks of the student's trunk."""
    context: bool = True
    """Let every second block see the whole image, as the teacher's InstanceNorm does."""


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How a student is fitted to its teacher's images, whatever it starts from."""

    steps: int = 6000
    """Optimiser steps."""
    batch_size: int = 8
    """Photos per step."""
    learning_rate: float = 2e-3
    """Peak of the Adam learning rate: linear warm-up, then a cosine down to a hundredth of it."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""
    l1_weight: float = 1.0
    """Weight of the mean absolute difference to the teacher's image."""
    ssim_weight: float = 0.25
    """Weight of 1 - SSIM to the teacher's image."""
    gradient_weight: float = 0.5
    """Weight of the difference of gradients to the teacher's image."""
    flip: bool = True
    """Mirror half of the photos, and the teacher's images with them."""
    ema_momentum: float = 0.998
    """The student that is kept is the exponential moving average of the weights; 0 keeps the last ones."""
    holdout: int = 64
    """Training photos held back to watch PSNR and draw samples; at most a tenth of them."""
    sample_every: int = 500
    """Steps between sample sheets and held-back scores."""
    checkpoint_every: int = 250
    """Steps between checkpoints; a killed run goes on from its last one."""
    precision: Literal["mixed_bfloat16", "float32"] = "mixed_bfloat16"
    """Arithmetic of training; the finished student is float32 either way."""
    seed: int = 0
    """Of weights, order of photos and mirroring."""

    def __post_init__(self) -> None:
        _require_positive(self, "batch_size", "sample_every", "checkpoint_every")
        if not 0.0 <= self.ema_momentum < 1.0:
            raise UsageError(f"ema_momentum = {self.ema_momentum}, expected 0 up to less than 1.")


@dataclass(frozen=True, kw_only=True)
class DistillConfig(FitConfig, StudentConfig):
    """How a student is built and taught."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_positive(self, "image_size_px", "width", "blocks", "steps")
        if self.image_size_px % 4 or self.width % 2:
            raise UsageError(
                f"image_size_px = {self.image_size_px} and width = {self.width}: "
                "expected a multiple of 4 and an even number."
            )


def _require_positive(config: FitConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"{name} = {getattr(config, name)}, expected at least 1.")
