"""The photos that an export is calibrated on and checked with, and the sheet that shows its pictures of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from compress import images
from export.calibration.observe import sample_photos
from export.config import CoremlConfig, OnnxConfig, TfliteConfig
from export.parity import synthetic_photos
from export.source import SourceGenerator

PARITY_IMAGES = 4
"""Photos that an export is checked with."""


def draw_photos(
    config: TfliteConfig | CoremlConfig | OnnxConfig, generator: SourceGenerator, size: tuple[int, int]
) -> list[np.ndarray]:
    """Draw the photos of an export, or make them up where no folder is given.

    Returns:
        `(height, width, 3)` uint8. For int8 those that it is calibrated on, of which the first `PARITY_IMAGES` are
        checked too; else these alone.
    """
    return _draw(config, generator, size, config.calibration_images if config.precision == "int8" else PARITY_IMAGES)


def draw_parity_photos(
    config: TfliteConfig | CoremlConfig | OnnxConfig, generator: SourceGenerator, size: tuple[int, int]
) -> list[np.ndarray]:
    """Draw the `PARITY_IMAGES` alone, as `draw_photos` does."""
    return _draw(config, generator, size, PARITY_IMAGES)


def _draw(
    config: TfliteConfig | CoremlConfig | OnnxConfig, generator: SourceGenerator, size: tuple[int, int], count: int
) -> list[np.ndarray]:
    if config.data is None:
        return synthetic_photos(size, count=PARITY_IMAGES, seed=config.seed)
    return sample_photos(config.data, domain=generator.domain, count=count, size=size, seed=config.seed)


def photo_kind(config: TfliteConfig | CoremlConfig | OnnxConfig) -> str:
    """Return the `Parity.material` of these photos."""
    return "photos" if config.data is not None else "synthetic"


def parity_sheet(
    photos: Sequence[np.ndarray], expected: Sequence[np.ndarray], pictures: Iterable[np.ndarray]
) -> np.ndarray:
    """Lay rows of photo, the source's picture and the export's picture out as one uint8 image."""
    rows = [
        (photo, images.to_uint8(source_picture), images.to_uint8(picture))
        for photo, source_picture, picture in zip(photos, expected, pictures, strict=True)
    ]
    return images.contact_sheet(rows, columns=("photo", "source", "export"))
