"""Configuration of `compress teach` and of the `[teach]` table of a recipe."""

from dataclasses import dataclass
from typing import Literal

from compress.config import TrainingPrecision
from compress.errors import UsageError

IDENTITY_INIT_FILTERS = 24
"""Fewest filters for a generator to start as a copy of its input, see `compress.models.identity_init`."""
SMALLEST_PX = 32
"""Smallest side of the images at any time of the training, pixels; the discriminator scores nothing below."""
_SIDE_DIVISOR = 4


@dataclass(frozen=True, kw_only=True)
class TeachConfig:
    """Architecture and training of a CycleGAN. All defaults but the averaging of weights are the published ones."""

    image_size_px: int = 256
    """Height of the images, and their width where that is not given; a multiple of 4."""
    image_width_px: int | None = None
    """Width of images that are not square; a multiple of 4."""
    load_scale: float = 1.12
    """Images are resized to this times their size, then cropped at random; 1 crops nothing."""
    flip: bool = True
    """Mirror half of the images."""
    quarter_size_steps: int = 0
    """First steps, at a quarter of height and width: cheap, for colours and the way through the net."""
    half_size_steps: int = 0
    """Steps after those, at half of height and width: shapes. The rest is trained at full size."""
    steps: int = 200_000
    """All optimiser steps together."""
    decay_steps: int = 100_000
    """Last steps, over which the learning rate falls linearly to 0."""
    batch_size: int = 1
    """Images of each domain per step; twice as many at half of the size, four times at a quarter."""
    learning_rate: float = 2e-4
    """Learning rate of Adam, for all four nets, until it decays."""
    beta_1: float = 0.5
    """Adam's decay rate of the running mean of gradients."""
    filters: int = 64
    """Channels of the generators at full resolution, and of the discriminators' first layer."""
    blocks: int = 9
    """Residual blocks of the generators; published for 6 (128 px) and 9 (256 px)."""
    normalization: Literal["instance", "batch", "none"] = "instance"
    """InstanceNorm as published; BatchNorm, which folds away in a deployed net; or none, which keeps flat colours."""
    near_identity: bool = False
    """Start every residual block as the identity (deep-makeover); without a norm, the whole net as a copy of its
    input."""
    adversarial_loss: Literal["lsgan", "wasserstein"] = "lsgan"
    """Least squares, or the Wasserstein distance with a spectrally normalised discriminator (deep-makeover)."""
    cycle_weight: float = 10.0
    """Weight of the mean absolute difference between an image and its cycled image; 0 skips the way back."""
    identity_weight: float = 5.0
    """Weight of the mean absolute difference that a generator makes to images of its own target domain."""
    paired_weight: float = 0.0
    """Weight of the mean absolute difference to the paired image of each image, which `trainA_paired` and
    `trainB_paired` hold under the same names: more than 0 makes the training a supervised one, 100 as in pix2pix."""
    anneal_steps: int = 0
    """First steps at each size, over which a pixel loss gives way to the adversarial loss (deep-makeover): to the input
    at the first size, later to what the nets made at the smaller one, so that no size starts anew."""
    pixel_weight: float = 10.0
    """Weight of that pixel loss at the very start."""
    pool_size: int = 50
    """Generated images that the discriminators may be shown again later; 0 shows the newest only."""
    ema_momentum: float = 0.999
    """Momentum of the exponential moving average of the weights, which is kept in the end; 0 keeps the last weights."""
    holdout: int = 200
    """Training images of each domain held back to watch KID and draw samples; at most a tenth of them."""
    sample_every: int = 2000
    """Steps between sample sheets and, once trained at full size, KID of the held-back images."""
    watch_kid: bool = True
    """Measure KID of the held-back images and keep each direction's best; else the last generators are kept."""
    patience: int = 5
    """Checks in a row without a better KID after which training counts as converged."""
    stop_when_converged: bool = False
    """End the training once it has converged, instead of only saying so."""
    checkpoint_every: int = 500
    """Steps between checkpoints; a killed run resumes from its last one."""
    precision: TrainingPrecision = "auto"
    """Precision of training; auto takes the faster one on this machine. The finished generators are float32."""
    seed: int = 0
    """Random seed of weights, order of images, crops, mirroring and the pool."""

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.image_size_px, self.image_width_px or self.image_size_px

    def reduction(self, step: int) -> int:
        """Return the divisor of height and width at a step: 4, 2 or 1."""
        if step < self.quarter_size_steps:
            return 4
        return 2 if step < self.quarter_size_steps + self.half_size_steps else 1

    @property
    def grows(self) -> bool:
        """Return whether the annealed pixel loss carries over from one size to the next."""
        return self.anneal_steps > 0 and self.quarter_size_steps + self.half_size_steps > 0

    def growth_factor(self, height_px: int) -> int | None:
        """Return by how much the images grew when they reached a height; None at the first size."""
        sizes = {4: self.quarter_size_steps, 2: self.half_size_steps, 1: 1}
        before = [size for size, steps in sizes.items() if steps and self.image_size_px // size < height_px]
        return before[-1] * height_px // self.image_size_px if before else None

    def first_step_at_size(self, step: int) -> int:
        """Return the first step with the image size of this step."""
        return {4: 0, 2: self.quarter_size_steps, 1: self.quarter_size_steps + self.half_size_steps}[
            self.reduction(step)
        ]

    def images_per_step(self, step: int) -> int:
        """Return the number of images of each domain in a step."""
        return self.batch_size * self.reduction(step)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "filters", "blocks", "holdout", "sample_every", "checkpoint_every"):
            self._expect(name, getattr(self, name) >= 1, "at least 1")
        for name in ("decay_steps", "quarter_size_steps", "half_size_steps", "anneal_steps"):
            self._expect(name, 0 <= getattr(self, name) <= self.steps, f"0 to steps = {self.steps}")
        self._expect(
            "half_size_steps",
            self.quarter_size_steps + self.half_size_steps <= self.steps,
            f"at most steps - quarter_size_steps = {self.steps - self.quarter_size_steps}",
        )
        for name in ("cycle_weight", "identity_weight", "paired_weight", "pixel_weight"):
            self._expect(name, getattr(self, name) >= 0, "at least 0")
        if self.near_identity and self.normalization == "none":
            self._expect(
                "filters", self.filters >= IDENTITY_INIT_FILTERS, f"at least {IDENTITY_INIT_FILTERS} to start as a copy"
            )
        self._expect("patience", self.patience >= 1, "at least 1")
        self._expect("learning_rate", self.learning_rate > 0, "more than 0")
        self._expect("load_scale", 1 <= self.load_scale <= 2, "1 to 2")
        self._expect("beta_1", 0 <= self.beta_1 < 1, "0 up to less than 1")
        self._expect("ema_momentum", 0 <= self.ema_momentum < 1, "0 up to less than 1")
        most = self.images_per_step(0)
        self._expect(
            "pool_size", self.pool_size == 0 or self.pool_size >= most, f"0 or at least {most}, the images of a step"
        )
        smallest = self.reduction(0)
        for name, side in zip(("image_size_px", "image_width_px"), self.image_size, strict=True):
            fits = side % (_SIDE_DIVISOR * smallest) == 0 and side >= SMALLEST_PX * smallest
            self._expect(
                name,
                fits,
                f"a multiple of {_SIDE_DIVISOR * smallest} and at least {SMALLEST_PX * smallest}, "
                f"since training starts at 1/{smallest} of the size",
                side,
            )

    def _expect(self, name: str, fulfilled: bool, expected: str, value: object = None) -> None:
        if not fulfilled:
            found = getattr(self, name) if value is None else value
            raise UsageError(f"{name} = {found}, expected {expected}.")
