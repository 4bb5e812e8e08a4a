"""The photos that an export is calibrated on and checked with, and the sheet that shows what became of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from compress import images
from export import parity
from export.calibration import observe
from export.config import CoremlConfig, TfliteConfig
from export.source import Source

PARITY_IMAGES = 4


def draw_photos(config: TfliteConfig | CoremlConfig, opened: Source, size: tuple[int, int]) -> list[np.ndarray]:
    """Draw `(height, width, 3)` uint8 photos: those that int8 is calibrated on, of which the first `PARITY_IMAGES` are
    checked too, or these alone. They are made up where no folder was given.
    """
    return _draw(config, opened, size, config.calibration_images if config.precision == "int8" else PARITY_IMAGES)


def draw_parity_photos(config: TfliteConfig | CoremlConfig, opened: Source, size: tuple[int, int]) -> list[np.ndarray]:
    """Draw the `PARITY_IMAGES` alone, as `photos` does."""
    return _draw(config, opened, size, PARITY_IMAGES)


def _draw(config: TfliteConfig | CoremlConfig, opened: Source, size: tuple[int, int], count: int) -> list[np.ndarray]:
    if config.data is None:
        return parity.synthetic_photos(size, count=PARITY_IMAGES, seed=config.seed)
    return observe.sample_photos(config.data, domain=opened.domain, count=count, size=size, seed=config.seed)


def material_kind(config: TfliteConfig | CoremlConfig) -> str:
    """What `Parity.material` says of them."""
    return "photos" if config.data is not None else "synthetic"


def contact_sheet(
    shown: Sequence[np.ndarray], expected: Sequence[np.ndarray], made: Iterable[np.ndarray]
) -> np.ndarray:
    """Lay rows of photo, the source's picture and the export's picture out as one uint8 image."""
    rows = [
        (photo, images.to_uint8(picture), images.to_uint8(other))
        for photo, picture, other in zip(shown, expected, made, strict=True)
    ]
    return images.contact_sheet(rows)
