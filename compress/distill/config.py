"""The flags of `compress distill`, the `[distill]` table of a recipe and the `config` of a student's manifest.

How a student is fitted to its teacher's images is shared by the stages that do so.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from compress.config import Precision
from compress.data.config import Domain
from compress.errors import UsageError
from compress.models.pocket.config import PocketConfig

SMALLEST_DISCRIMINATOR_PX = 32
"""Of a side: a patch discriminator has nothing to judge below."""
HISTORY = "training.json"
"""Beside the student: `history`, what the samples measured as a list of `step` and `held_back_psnr_db`, `images_per_s`,
and the `precision` that was computed in."""


@dataclass(frozen=True, kw_only=True)
class StudentConfig(PocketConfig):
    """Which student is built, and for whose photos."""

    domain: Domain = "A"
    """Whose training photos the teacher translates: trainA, trainB or both."""


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
    ms_ssim_weight: float = 0.0
    """Weight of 1 - MS-SSIM to the teacher's image."""
    total_variation_weight: float = 0.0
    """Weight of the differences between neighbouring pixels of the student's image; OMGD takes 1e-5."""
    gram_weight: float = 0.0
    """Weight of the difference of textures (Gram matrices), as the teacher's own encoder sees them; OMGD takes 1e4."""
    feature_weight: float = 0.0
    """Weight of the perceptual distance: the difference of features of the teacher's own encoder; OMGD takes 10."""
    channel_weight: float = 0.0
    """Weight of the divergence between where the channels of the teacher's own encoder look in the two images."""
    hint_weight: float = 0.0
    """Weight of the mean squared difference of the student's features of the photos, brought to the teacher's width by
    1x1 convolutions that are trained with it and then dropped, to the teacher's own; GAN Compression takes 1.0."""
    hint_depth: Literal["encoder", "trunk"] = "encoder"
    """Which features are hinted at: those on the way down, or those of the middle and the last residual block, too, for
    which nearly all of the teacher runs in every step."""
    adversarial_weight: float = 0.0
    """Weight of fooling a discriminator, trained beside the student, that knows real images of the target domain: trainB for
    domain A, trainA for domain B. Not for both domains."""
    matching_weight: float = 0.0
    """Weight of the difference between what the layers of that discriminator make of the student's and of the teacher's image:
    a perceptual distance in features that know the target domain. For an adversarial_weight above 0."""
    adversarial_loss: Literal["lsgan", "hinge"] = "lsgan"
    """Least squares, or the hinge loss."""
    adversarial_from_step: float = 0.1
    """When the discriminator comes in: below 1 a share of all steps, from 1 on a number of steps."""
    discriminator_filters: int = 16
    """Channels of the discriminator's first layer. CycleGAN's 64 overwhelm a small student."""
    discriminator_learning_rate: float = 2e-4
    """Peak of the discriminator's learning rate, which rises and falls with the student's."""
    discriminator_hold_ratio: float = 0.0
    """Hold the discriminator's training back while its loss is below this share of an undecided discriminator's (0.25 for lsgan, 1
    for hinge), as it then overpowers the student (after GCC); 0 never does."""
    discriminator_crop_px: int | None = None
    """Side of a square, cut anew at every step, of which the discriminator and the losses through the teacher's encoder see
    what lies inside; whole images when not given. They judge texture, and half the side costs a quarter of the time."""
    l1_final_scale: float = 1.0
    """What l1_weight is multiplied by from adversarial_from_step on, with a discriminator or without."""
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
    precision: Precision = "auto"
    """Arithmetic of training, auto being what is faster on this machine; the finished student is float32."""
    seed: int = 0
    """Of weights, order of photos and mirroring."""

    @property
    def turning_step(self) -> int:
        """The first step with the discriminator and with the final share of L1."""
        begin = self.adversarial_from_step
        return round(begin * self.steps) if begin < 1 else int(begin)

    @property
    def has_phases(self) -> bool:
        """Whether anything changes at `turning_step`."""
        return self.adversarial_weight > 0 or self.l1_final_scale != 1

    def __post_init__(self) -> None:
        _require_positive(self, "batch_size", "sample_every", "checkpoint_every", "discriminator_filters")
        if not 0.0 <= self.ema_momentum < 1.0:
            raise UsageError(f"ema_momentum = {self.ema_momentum}, expected 0 up to less than 1.")
        self._check_losses()
        if self.has_phases:
            self._check_phases()
        if self.discriminator_crop_px is not None and self.discriminator_crop_px < SMALLEST_DISCRIMINATOR_PX:
            raise UsageError(
                f"discriminator_crop_px = {self.discriminator_crop_px}, expected at least {SMALLEST_DISCRIMINATOR_PX}."
            )
        if not 0 <= self.discriminator_hold_ratio < 1:
            raise UsageError(
                f"discriminator_hold_ratio = {self.discriminator_hold_ratio}, expected 0 up to less than 1."
            )
        if not 0 < self.discriminator_learning_rate < math.inf:
            raise UsageError(f"discriminator_learning_rate = {self.discriminator_learning_rate}, expected more than 0.")

    def _check_losses(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("_weight") and not 0 <= value < math.inf:
                raise UsageError(f"{item.name} = {value}, expected at least 0.")
        if self.matching_weight and not self.adversarial_weight:
            raise UsageError(
                f"matching_weight = {self.matching_weight} and adversarial_weight = 0: there is no discriminator whose "
                "features could be compared. Pass an --adversarial-weight above 0, however small."
            )

    def _check_phases(self) -> None:
        begin = self.adversarial_from_step
        if not 0 <= begin < self.steps or (begin > 1 and begin != int(begin)):
            raise UsageError(
                f"adversarial_from_step = {begin}, expected a share from 0 to less than 1, or a whole number of steps "
                f"below steps = {self.steps}."
            )
        if not 0 <= self.l1_final_scale < math.inf:
            raise UsageError(f"l1_final_scale = {self.l1_final_scale}, expected at least 0.")


@dataclass(frozen=True, kw_only=True)
class TuneConfig(FitConfig):
    """How a student that was distilled before is fitted once more."""

    domain: Domain | None = None
    """Whose training photos the teacher translates; those that the student was trained on when not given."""


@dataclass(frozen=True, kw_only=True)
class DistillConfig(FitConfig, StudentConfig):
    """How a student is built and taught."""

    from_teacher: bool = False
    """Start from the teacher's own layers and weights, with BatchNorm and zero padding, instead of a new net of a
    family; for a small teacher, whose twin is pruned afterwards."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        StudentConfig.__post_init__(self)
        _require_positive(self, "steps")
        check_discriminator_size(self, self.domain, self.image_size_px)


def check_discriminator_size(config: FitConfig, domain: Domain, image_size_px: int) -> None:
    """Refuse images that a discriminator cannot judge, where the configuration asks for one, or that no square is cut from.

    Args:
        config: Asks for a discriminator by `adversarial_weight`, for a square by `discriminator_crop_px`.
        domain: Whose photos the student translates.
        image_size_px: Side of its images.

    Raises:
        UsageError: If there is no one target domain, or the images are too small.
    """
    if config.discriminator_crop_px is not None and config.discriminator_crop_px > image_size_px:
        raise UsageError(
            f"discriminator_crop_px = {config.discriminator_crop_px}, expected at most the images' {image_size_px}. "
            "Leave it out to judge whole images."
        )
    if not config.adversarial_weight:
        return
    if domain == "both":
        raise UsageError(
            f"domain = both and adversarial_weight = {config.adversarial_weight}: a discriminator needs real images of one "
            "target domain. Pass --domain A or --domain B, or --adversarial-weight 0."
        )
    if image_size_px < SMALLEST_DISCRIMINATOR_PX:
        raise UsageError(
            f"image_size_px = {image_size_px} and adversarial_weight = {config.adversarial_weight}: a discriminator "
            f"needs at least {SMALLEST_DISCRIMINATOR_PX} pixels a side. Pass --adversarial-weight 0 for smaller images."
        )


def _require_positive(config: FitConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"{name} = {getattr(config, name)}, expected at least 1.")
