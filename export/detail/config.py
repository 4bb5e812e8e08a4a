"""Flags of `compress export detail`."""

from dataclasses import dataclass

from compress.config import require_at_least
from compress.errors import UsageError

LARGEST_PX = 4096
"""A float picture of that side takes 201 MB, and the file holds several at a time."""


@dataclass(frozen=True, kw_only=True)
class DetailConfig:
    """Configuration of `compress export detail`."""

    photo_size_px: int = 1024
    """Side of the photo's square, and of the picture that comes out; more than the student's own."""

    def __post_init__(self) -> None:
        require_at_least(self, photo_size_px=1)
        if self.photo_size_px > LARGEST_PX:
            raise UsageError(f"photo_size_px = {self.photo_size_px}, expected at most {LARGEST_PX}.")
