"""Flags of `compress lens`."""

from dataclasses import dataclass
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError
from export.config import TranslateConfig

Region = Literal["face", "whole"]
Detail = Literal["none", "local-affine"]


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """Configuration of `compress lens photo` and `compress lens folder`."""

    region: Region = "face"
    """What is translated: face, or whole, all of the photo, for models that want no faces."""
    all: bool = False
    """Translate all faces of a photo; else the largest."""
    nth: int | None = None
    """Translate the Nth largest face of each photo, from 1, instead."""
    feather: float = 0.12
    """Width of the edge along which a face's square fades into the photo, in shares of its side, 0.02 to 0.5."""
    detail: Detail = "local-affine"
    """Detail beyond the model's size in larger squares: local-affine adds the photo's own where the model changes it
    alike throughout, none leaves it out."""
    side_by_side: bool = False
    """Write the photo at the left of its translation, in one picture."""
    image_size_px: int | None = None
    """Side of the square that the model works on; its own size when not given."""
    threads: int = 2
    """Threads that the model runs on."""

    def __post_init__(self) -> None:
        require_at_least(self, nth=1, image_size_px=1, threads=1)
        if self.all and self.nth is not None:
            raise UsageError(f"nth = {self.nth} takes one face, and all takes every one. Leave one of them out.")
        if self.region == "whole" and (self.all or self.nth is not None):
            raise UsageError("region = whole looks for no face. Leave --all and --nth out.")
        if not 0.02 <= self.feather <= 0.5:
            raise UsageError(f"feather = {self.feather}, expected 0.02 to 0.5 of the square's side.")

    @property
    def translation(self) -> TranslateConfig:
        """How the model is opened."""
        return TranslateConfig(image_size_px=self.image_size_px, threads=self.threads)
