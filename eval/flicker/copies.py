"""Perturbed copies of a photo: how they are made, and how what a generator makes of them is compared again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image

Perturbation = Literal["shift", "noise", "jpeg"]
MARGIN_PX = 4
"""Outermost pixels that a shift brings in from beyond the picture: up to 3 that Lanczos looks at, and the shift."""
NOISE_LEVELS = 2.0
"""Standard deviation of the noise, levels of 255: what a phone's camera leaves by daylight."""
JPEG_QUALITY = 75
"""Pillow's and libjpeg's own default."""
STILL = "still"


@dataclass(frozen=True)
class Copy:
    """One perturbed copy of a photo."""

    name: str
    perturbation: Perturbation
    shift_px: tuple[float, float] = (0.0, 0.0)
    """How far the view moves right and down, pixels."""


# A shift by whole pixels could be undone without a trace, so that there would be nothing to divide by.
COPIES = (
    Copy("shift1", "shift", (0.5, 0.25)),
    Copy("shift2", "shift", (-0.25, 0.5)),
    Copy("noise", "noise"),
    Copy("jpeg", "jpeg"),
)


def make_copies(photo: np.ndarray, random: np.random.RandomState) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and the image of the untouched middle of a photo, then of each of `COPIES` of it.

    Args:
        photo: `(height, width, 3)` uint8, `MARGIN_PX` larger on every side than the images.
        random: Source of the noise; NumPy keeps its stream as it is.
    """
    still = photo[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    yield STILL, still
    for copy in COPIES:
        if copy.perturbation == "shift":
            yield copy.name, np.clip(np.rint(_resample(photo, copy.shift_px)), 0, 255).astype(np.uint8)
        elif copy.perturbation == "noise":
            noisy = still + random.normal(scale=NOISE_LEVELS, size=still.shape)
            yield copy.name, np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        else:
            yield copy.name, _through_jpeg(still)


def mean_square_changes(images: Mapping[str, np.ndarray]) -> dict[Perturbation, float]:
    """Return how much the copies of an image differ from the untouched one, by what was done to them.

    A shift is undone first, so that what is left of it in a photo is the blur of resampling twice. The margin that is
    unknown after a shift is left out everywhere.

    Args:
        images: `(height, width, 3)` uint8 by the names of `make_copies`, all of one shape: photos, or what a generator
            made of them.

    Returns:
        Mean of the squared differences, in squared levels of 255, over pixels, channels and copies of one kind.
    """
    still = images[STILL][MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX].astype(np.float64)
    changes: dict[Perturbation, list[float]] = {}
    for copy in COPIES:
        right, down = copy.shift_px
        difference = _resample(images[copy.name], (-right, -down)) - still
        changes.setdefault(copy.perturbation, []).append(float(np.mean(difference**2)))
    return {perturbation: float(np.mean(values)) for perturbation, values in changes.items()}


def _resample(image: np.ndarray, shift_px: tuple[float, float]) -> np.ndarray:
    """Return the view of an image's middle that is moved by a shift (Lanczos), float32, neither rounded nor clipped."""
    height, width, _ = image.shape
    right, down = shift_px
    box = (MARGIN_PX + right, MARGIN_PX + down, width - MARGIN_PX + right, height - MARGIN_PX + down)
    size = (width - 2 * MARGIN_PX, height - 2 * MARGIN_PX)
    channels = [Image.fromarray(image[..., channel].astype(np.float32)) for channel in range(image.shape[2])]
    return np.stack([np.asarray(one.resize(size, Image.Resampling.LANCZOS, box)) for one in channels], axis=-1)


def _through_jpeg(image: np.ndarray) -> np.ndarray:
    stream = BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stream).convert("RGB"))
