"""Flags of `compress distill`, the `[distill]` table of a recipe and the `config` of a student's manifest.

A configuration is made of parts that check themselves, so that other stages take the parts that they use: how long and
how fast (`TrainConfig`), towards what (`LossConfig`), against whom (`DiscriminatorConfig`); `FitConfig` is all three.
"""

import math
from dataclasses import dataclass, fields
from typing import Literal

from compress.config import TrainingPrecision, require_at_least
from compress.data.config import Domain
from compress.errors import UsageError
from compress.models.pocket.config import PocketConfig

SMALLEST_DISCRIMINATOR_PX = 32
"""Smallest side of an image that a patch discriminator has something to judge in."""
CROP_STEP_PX = 8
"""Grid of the squares that a student sees: the largest factor by which one scales its images down."""
DiscriminatorKind = Literal["patch", "projected"]
AdversarialLoss = Literal["lsgan", "hinge"]
Augmentation = Literal["occluders"]
_FILTERS: dict[DiscriminatorKind, int] = {"patch": 16, "projected": 64}
_HEAD_START: dict[DiscriminatorKind, float] = {"patch": 1.0, "projected": 0.7}
"""Share of the steps before `turning_step` after which a discriminator begins to learn: an ignorant one would push the
student about at random."""
HISTORY = "training.json"
"""File beside the student: `history`, what the samples measured as a list of `step`, `held_back_psnr_db`, `weights` and
`kid`; which images `kid_to` names and the `teacher_kid` to them; the `chosen` step and why; why the training `stopped`
early; `images_per_s`, and the `precision` that was computed in."""
INIT_FINGERPRINT = "init_fingerprint"
"""Key beside a configuration in the manifest: the fingerprint of the student that `init` names."""


@dataclass(frozen=True, kw_only=True)
class StudentConfig(PocketConfig):
    """Shape of a student, and the domain that it translates."""

    domain: Domain = "A"
    """Domain of the training photos: trainA, trainB or both."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Length, rates, photos and intervals of a training."""

    steps: int = 6000
    """Optimiser steps."""
    batch_size: int = 8
    """Photos per step."""
    learning_rate: float = 2e-3
    """Peak of Adam's learning rate, warmed up linearly and lowered to a hundredth."""
    warmup_steps: int = 200
    """Steps of linear warm-up."""
    flip: bool = True
    """Mirror half of the photos, and the teacher's images with them."""
    # A discriminator's real images get some of their own, or it would tell the student's images by them.
    augment: Augmentation | None = None
    """Draw glasses, hands, hair or microphones over half of the photos and of the teacher's images."""
    ema_momentum: float = 0.998
    """Average the student's weights exponentially; 0 keeps the last ones."""
    holdout: int = 64
    """Photos held back to watch quality; at most a tenth."""
    sample_every: int = 500
    """Steps between sample sheets and held-back scores."""
    checkpoint_every: int = 250
    """Steps between checkpoints; a killed run resumes."""
    precision: TrainingPrecision = "auto"
    """Arithmetic of training; auto is the faster one on this machine."""
    seed: int = 0
    """Random seed for weights, photo order and mirroring."""

    def __post_init__(self) -> None:
        require_at_least(self, batch_size=1, sample_every=1, checkpoint_every=1, steps=0, warmup_steps=0)
        if not 0.0 < self.learning_rate < math.inf:
            raise UsageError(f"learning_rate = {self.learning_rate}, expected more than 0.")
        if not 0.0 <= self.ema_momentum < 1.0:
            raise UsageError(f"ema_momentum = {self.ema_momentum}, expected 0 up to less than 1.")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Losses that pull a student towards its teacher; a weight of 0 costs nothing."""

    l1_weight: float = 1.0
    """Weight of the mean absolute difference to the teacher's image."""
    coarse_weight: float = 0.0
    """Weight of the same of both images averaged over squares of 16 pixels."""
    ssim_weight: float = 0.25
    """Weight of 1 - SSIM to the teacher's image."""
    gradient_weight: float = 0.5
    """Weight of the difference of gradients to the teacher's image."""
    ms_ssim_weight: float = 0.0
    """Weight of 1 - MS-SSIM to the teacher's image."""
    total_variation_weight: float = 0.0
    """Weight of the differences between neighbouring pixels; OMGD: 1e-5."""
    # The next three see both images through the teacher's own encoder, so no outside network is needed.
    gram_weight: float = 0.0
    """Weight of the difference of textures that the teacher's encoder sees; OMGD: 1e4."""
    feature_weight: float = 0.0
    """Weight of the difference of its features; OMGD: 10."""
    channel_weight: float = 0.0
    """Weight of the divergence between the attention maps of its channels."""
    # The student's features of the photos are brought to the teacher's width by 1x1 convolutions, which are trained
    # with it and then dropped.
    hint_weight: float = 0.0
    """Weight of the difference of inner features; GAN Compression: 1."""
    # For the trunk nearly all of the teacher runs in every step.
    hint_depth: Literal["encoder", "trunk"] = "encoder"
    """Features to compare: on the way down, or residual blocks too."""
    l1_final_scale: float = 1.0
    """Factor on l1_weight from adversarial_from_step on."""
    # Both images as a pretrained network sees them, each scale divided by its own size. It never scores.
    perceptual_weight: float = 0.0
    """Weight of the difference of a pretrained network's features."""
    statistics_weight: float = 0.0
    """Weight of the difference of their channels' means and deviations."""
    perceptual_network: str = "efficientnet-lite2"
    """That network, or a .keras file of features."""

    def __post_init__(self) -> None:
        _check_weights(self, LossConfig)
        if not 0 <= self.l1_final_scale < math.inf:
            raise UsageError(f"l1_final_scale = {self.l1_final_scale}, expected at least 0.")


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """The discriminator that is trained beside a student, where `adversarial_weight` asks for one."""

    # Real images are those of the target domain, trainB for domain A; without any, or for both domains, the teacher's.
    adversarial_weight: float = 0.0
    """Weight of fooling a discriminator of the target domain's images."""
    discriminator: DiscriminatorKind = "projected"
    """What it judges: patches, or a pretrained network's features."""
    # A perceptual distance in features that know the target domain.
    matching_weight: float = 0.0
    """Weight of matching the discriminator's features to the teacher's."""
    adversarial_loss: AdversarialLoss | None = None
    """Least squares (patch) or the hinge loss (projected)."""
    adversarial_from_step: float = 0.1
    """First step with the discriminator: below 1 a share of all steps, else a number."""
    # CycleGAN's 64 overwhelm a small student as patches.
    discriminator_filters: int | None = None
    """Channels of its first layer: 16 (patch), 64 (projected)."""
    discriminator_learning_rate: float = 4e-4
    """Peak of its learning rate, which follows the student's."""
    # It then overpowers the student; after GCC. An undecided one has a loss of 0.25 (lsgan) or 1 (hinge).
    discriminator_hold_ratio: float = 0.0
    """Pause its training below this share of an undecided one's loss; 0 never does."""
    # They judge texture, and half the side costs a quarter of the time.
    discriminator_crop_px: int | None = None
    """Side of the random squares that it and the losses in features see."""

    @property
    def chosen_adversarial_loss(self) -> AdversarialLoss:
        """The loss: as asked for, else the one that suits the kind of discriminator."""
        return self.adversarial_loss or ("hinge" if self.discriminator == "projected" else "lsgan")

    @property
    def chosen_discriminator_filters(self) -> int:
        """Channels of the first layer: as asked for, else what suits the kind of discriminator."""
        return self.discriminator_filters or _FILTERS[self.discriminator]

    def __post_init__(self) -> None:
        _check_weights(self, DiscriminatorConfig)
        if self.discriminator_filters is not None:
            require_at_least(self, discriminator_filters=1)
        if self.matching_weight and self.discriminator == "projected":
            raise UsageError(
                f"matching_weight = {self.matching_weight} and discriminator = projected, whose features are those of "
                "perceptual_weight already. Pass --perceptual-weight, or --discriminator patch."
            )
        if self.matching_weight and not self.adversarial_weight:
            raise UsageError(
                f"matching_weight = {self.matching_weight} and adversarial_weight = 0: there is no discriminator whose "
                "features could be compared. Pass an --adversarial-weight above 0, however small."
            )
        begin = self.adversarial_from_step
        if not 0 <= begin < math.inf or (begin > 1 and begin != int(begin)):
            raise UsageError(
                f"adversarial_from_step = {begin}, expected a share from 0 to less than 1, or a whole number of steps."
            )
        if not 0 < self.discriminator_learning_rate < math.inf:
            raise UsageError(f"discriminator_learning_rate = {self.discriminator_learning_rate}, expected more than 0.")
        if not 0 <= self.discriminator_hold_ratio < 1:
            raise UsageError(
                f"discriminator_hold_ratio = {self.discriminator_hold_ratio}, expected 0 up to less than 1."
            )
        if self.discriminator_crop_px is not None and self.discriminator_crop_px < SMALLEST_DISCRIMINATOR_PX:
            raise UsageError(
                f"discriminator_crop_px = {self.discriminator_crop_px}, expected at least {SMALLEST_DISCRIMINATOR_PX}."
            )


# Fields come in the order of the bases from right to left.
@dataclass(frozen=True, kw_only=True)
class FitConfig(DiscriminatorConfig, LossConfig, TrainConfig):
    """Training, losses and discriminator of a student, whatever it starts from."""

    # A square of half the side costs a quarter of a step: the student learns to draw from many squares, then what
    # belongs where from whole images.
    crop_px: int | None = None
    """Side of the random squares that the student itself sees at first."""
    crop_until: float = 0.8
    """Share of the steps with squares, before those with whole images."""

    @property
    def turning_step(self) -> int:
        """The first step with the discriminator and with the final scale of L1."""
        begin = self.adversarial_from_step
        return round(begin * self.steps) if begin < 1 else int(begin)

    @property
    def discriminator_step(self) -> int:
        """The first step in which the discriminator learns."""
        return round(_HEAD_START[self.discriminator] * self.turning_step)

    @property
    def has_phases(self) -> bool:
        """True if anything changes at `turning_step`."""
        return self.adversarial_weight > 0 or self.l1_final_scale != 1

    @property
    def sees_perceptual_network(self) -> bool:
        """True if anything looks at images through the pretrained network."""
        judged = self.adversarial_weight > 0 and self.discriminator == "projected"
        return judged or self.perceptual_weight > 0 or self.statistics_weight > 0

    @property
    def last_change(self) -> int:
        """The first step of the last phase, from which on all steps train towards the same."""
        whole = 0 if self.crop_px is None else round(self.crop_until * self.steps)
        return max(whole, self.turning_step if self.has_phases else 0)

    def crops(self, step: int) -> bool:
        """True if the student sees squares at a step."""
        return self.crop_px is not None and step < round(self.crop_until * self.steps)

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        LossConfig.__post_init__(self)
        DiscriminatorConfig.__post_init__(self)
        if not 0 < self.crop_until <= 1:
            raise UsageError(f"crop_until = {self.crop_until}, expected a share of the steps above 0, at most 1.")
        if self.crop_px is not None and (self.crop_px < SMALLEST_DISCRIMINATOR_PX or self.crop_px % CROP_STEP_PX):
            raise UsageError(
                f"crop_px = {self.crop_px}, expected a multiple of {CROP_STEP_PX}, at least "
                f"{SMALLEST_DISCRIMINATOR_PX}."
            )
        if self.has_phases and self.adversarial_from_step >= max(1, self.steps):
            raise UsageError(
                f"adversarial_from_step = {self.adversarial_from_step}, expected a share from 0 to less than 1, or a "
                f"whole number of steps below steps = {self.steps}."
            )


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """What a distillation watches beside PSNR, and when it may end early."""

    watch_kid: bool = True
    """Keep the best weights by held-back KID."""
    patience: int = 8
    """KIDs without a better one that count as converged."""
    stop_when_converged: bool = False
    """End the training once it has converged."""

    def __post_init__(self) -> None:
        require_at_least(self, patience=1)


@dataclass(frozen=True, kw_only=True)
class DistillConfig(WatchConfig, FitConfig, StudentConfig):
    """Shape and training of a student."""

    # For a small teacher, whose counterpart is pruned afterwards.
    from_teacher: bool = False
    """Start from the teacher's layers and weights, with BatchNorm and zero padding."""
    # Its weights only: Adam, the schedule and the discriminator start afresh.
    init: str | None = None
    """Student of the same shape to start from, or starter:NAME."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        StudentConfig.__post_init__(self)
        WatchConfig.__post_init__(self)
        require_at_least(self, steps=1)
        if self.from_teacher and self.init is not None:
            raise UsageError(f"from_teacher and init = {self.init}: a student starts from one of them. Leave one out.")
        check_sizes(self, self.image_size_px)


def check_sizes(config: FitConfig, image_size_px: int) -> None:
    """Check that squares can be cut from a student's images, and that a discriminator can judge them.

    Args:
        config: Asks for a discriminator by `adversarial_weight`, for squares by `crop_px` and `discriminator_crop_px`.
        image_size_px: Side of the student's images.

    Raises:
        UsageError: If the images are too small.
    """
    for name, advice in (("crop_px", "train on whole images"), ("discriminator_crop_px", "judge whole images")):
        side = getattr(config, name)
        if side is not None and side > image_size_px:
            raise UsageError(
                f"{name} = {side}, expected at most the images' {image_size_px}. Leave it out to {advice}."
            )
    if config.adversarial_weight and image_size_px < SMALLEST_DISCRIMINATOR_PX:
        raise UsageError(
            f"image_size_px = {image_size_px} and adversarial_weight = {config.adversarial_weight}: a discriminator "
            f"needs at least {SMALLEST_DISCRIMINATOR_PX} pixels a side. Pass --adversarial-weight 0 for smaller images."
        )


def _check_weights(config: object, part: type[LossConfig] | type[DiscriminatorConfig]) -> None:
    for item in fields(part):
        value = getattr(config, item.name)
        if item.name.endswith("_weight") and not 0 <= value < math.inf:
            raise UsageError(f"{item.name} = {value}, expected at least 0.")
