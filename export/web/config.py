"""Flags of `compress export web` and `compress lens serve`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

Region = Literal["face", "whole"]


@dataclass(frozen=True, kw_only=True)
class WebConfig:
    """What a student's page holds and shows."""

    region: Region = "face"
    """What is translated: face, the largest one, or whole, all of the picture, for models that want no faces."""
    feather: float = 0.12
    """Width of the edge along which a face's square fades into the picture, in shares of its side, 0.02 to 0.5."""
    pictures: Path | None = None
    """A folder of pictures, the first six of which the page offers to who has no camera; drawn faces when not given."""
    data: Path | None = None
    """Real photos to calibrate int8 on, for a student that is not exported yet: a CycleGAN folder or any folder."""
    calibration_images: int = 64
    """Number of photos that set the activation ranges of int8."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1)
        if not 0.02 <= self.feather <= 0.5:
            raise UsageError(f"feather = {self.feather}, expected 0.02 to 0.5 of the square's side.")
