"""Configuration of a student's architecture, free of Keras."""

from dataclasses import dataclass
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

Family = Literal["pixel_shuffle", "separable", "space_to_depth", "unet"]
Upsampler = Literal["depth_to_space", "bilinear"]

_DOWNSCALING = {"pixel_shuffle": 4, "separable": 4, "space_to_depth": 4, "unet": 8}
"""Factor by which each family scales images down, which has to divide their size."""


@dataclass(frozen=True, kw_only=True)
class PocketConfig:
    """Architecture of a student."""

    image_size_px: int = 256
    """Side of the square that photos are cropped and resized to and the student takes; a multiple of 4 (unet: 8)."""
    family: Family = "pixel_shuffle"
    """Kind of student: space_to_depth is the fastest, unet sees furthest, separable keeps the teacher's shape."""
    width: int = 48
    """Channels of the student at a quarter of the resolution; an even number."""
    blocks: int = 4
    """Residual blocks of the student's trunk."""
    kernel_size: int | None = None
    """Side of the trunk's kernels, an odd number; the family's own when not given: 5 for unet, else 3."""
    upsampler: Upsampler | None = None
    """Upsampling of features; the family's own when not given: bilinear for separable, else depth_to_space."""
    context: bool = True
    """Let every second block see the whole image, as the teacher's InstanceNorm does."""
    image_skip: bool = True
    """Add the photo to what the student generates: it starts near the identity and learns the difference."""

    @property
    def trunk_kernel_size(self) -> int:
        """`kernel_size`, or the family's own where not given."""
        return self.kernel_size or (5 if self.family == "unet" else 3)

    @property
    def chosen_upsampler(self) -> Upsampler:
        """`upsampler`, or the family's own where not given."""
        return self.upsampler or ("bilinear" if self.family == "separable" else "depth_to_space")

    def __post_init__(self) -> None:
        require_at_least(self, image_size_px=1, width=1, blocks=1)
        if self.family not in _DOWNSCALING:
            raise UsageError(f"family = {self.family!r}, expected one of {', '.join(_DOWNSCALING)}.")
        if self.image_size_px % _DOWNSCALING[self.family] or self.width % 2:
            raise UsageError(
                f"image_size_px = {self.image_size_px} and width = {self.width}: expected a multiple of "
                f"{_DOWNSCALING[self.family]} for family = {self.family}, and an even number."
            )
        if self.kernel_size is not None and (self.kernel_size < 1 or self.kernel_size % 2 == 0):
            raise UsageError(f"kernel_size = {self.kernel_size}, expected an odd number, such as 3 or 5.")
        if self.family == "space_to_depth" and self.chosen_upsampler != "depth_to_space":
            raise UsageError(
                f"upsampler = {self.upsampler}, but family = space_to_depth is made of its depth_to_space. "
                "Leave --upsampler out, or take another family."
            )
