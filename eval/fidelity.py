"""How near a student's images come to its teacher's, pair by pair: PSNR and SSIM."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import UnusableData
from compress.images import list_images, read_image

PEAK = 255.0
WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """One image against its teacher's."""

    psnr_db: float | None
    """None where both are equal in every pixel: the ratio is infinite then."""
    ssim: float | None
    """-1 to 1, where 1 is equal; None where it was not asked for."""


@dataclass(frozen=True)
class Fidelity:
    """All images of a folder against their teacher's, by stem."""

    images: Mapping[str, Likeness]

    @property
    def psnr_db(self) -> list[float]:
        """The PSNR of each image that is not equal to its teacher's."""
        return [likeness.psnr_db for likeness in self.images.values() if likeness.psnr_db is not None]

    def to_mapping(self) -> dict[str, Any]:
        """As scores record it: means and extremes first, then each image. Equal images are counted, not averaged."""
        ssim = [likeness.ssim for likeness in self.images.values() if likeness.ssim is not None]
        return {
            "psnr_db": _summary(self.psnr_db),
            "ssim": _summary(ssim),
            "equal_images": len(self.images) - len(self.psnr_db),
            "images": {
                stem: {"psnr_db": likeness.psnr_db, "ssim": likeness.ssim} for stem, likeness in self.images.items()
            },
        }


def compare(fake: Path, teacher: Path, *, with_ssim: bool = True) -> Fidelity:
    """Compare each image of a folder with the teacher's image of the same stem.

    Raises:
        UnusableData: If a file has no partner, or a pair differs in size.
    """
    images = {}
    for stem, (fake_path, teacher_path) in pair_by_stem(fake, teacher).items():
        ours, theirs = read_image(fake_path), read_image(teacher_path)
        if ours.shape != theirs.shape:
            raise UnusableData(
                f"{fake_path} is {_size(ours)}, but {teacher_path} is {_size(theirs)}; fidelity needs equal sizes. "
                "Translate both with one image size."
            )
        images[stem] = Likeness(psnr_db=psnr_db(ours, theirs), ssim=ssim(ours, theirs) if with_ssim else None)
    return Fidelity(images)


def pair_by_stem(first: Path, second: Path) -> dict[str, tuple[Path, Path]]:
    """Pair the images of two folders by name without suffix, sorted.

    Raises:
        UnusableData: If a folder has no images or two of one stem, or an image has no partner.
    """
    ours, theirs = _by_stem(first), _by_stem(second)
    lonely = [f"{_some(ours.keys() - theirs.keys())} only in {first}"] if ours.keys() - theirs.keys() else []
    lonely += [f"{_some(theirs.keys() - ours.keys())} only in {second}"] if theirs.keys() - ours.keys() else []
    if lonely:
        raise UnusableData(f"images are unpaired: {'; '.join(lonely)}. Translate both folders from the same photos.")
    return {stem: (path, theirs[stem]) for stem, path in ours.items()}


def psnr_db(first: np.ndarray, second: np.ndarray) -> float | None:
    """Peak signal-to-noise ratio of two uint8 images, in dB of a peak of 255; None where they are equal."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(PEAK**2 / error)) if error > 0 else None


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Structural similarity: mean over windows that lie wholly inside the image, and over the colour channels.

    Args:
        first: `(height, width, channels)` uint8, each side at least 11 px.
        second: The same shape.

    Returns:
        -1 to 1, where 1 is equal.

    Raises:
        UnusableData: If the image is smaller than the window.

    Source: Wang et al. 2004, Image Quality Assessment, IEEE TIP 13(4), with its 11x11 Gaussian of 1.5 px.
    """
    if min(first.shape[:2]) < WINDOW_PX:
        raise UnusableData(
            f"an image of {_size(first)} is too small for SSIM; expected at least {WINDOW_PX} px a side."
        )
    ours, theirs = first.astype(np.float64), second.astype(np.float64)
    mean_ours, mean_theirs, square_ours, square_theirs, product = (
        _blur(values) for values in (ours, theirs, ours * ours, theirs * theirs, ours * theirs)
    )
    variances = square_ours - mean_ours**2 + square_theirs - mean_theirs**2
    covariance = product - mean_ours * mean_theirs
    steady_mean, steady_variance = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    similarity = (2 * mean_ours * mean_theirs + steady_mean) * (2 * covariance + steady_variance)
    similarity /= (mean_ours**2 + mean_theirs**2 + steady_mean) * (variances + steady_variance)
    return float(similarity.mean())


def _blur(values: np.ndarray) -> np.ndarray:
    """Weighted mean over the window around each pixel; the border, where the window sticks out, is cut off."""
    return _blur_columns(_blur_columns(values).swapaxes(0, 1)).swapaxes(0, 1)


def _blur_columns(values: np.ndarray) -> np.ndarray:
    offsets = np.arange(WINDOW_PX) - WINDOW_PX // 2
    weights = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA_PX**2))
    height = len(values) - WINDOW_PX + 1
    blurred = np.zeros((height, *values.shape[1:]))
    for shift, weight in enumerate(weights / weights.sum()):
        blurred += weight * values[shift : shift + height]
    return blurred


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        if path.stem in found:
            raise UnusableData(f"{found[path.stem]} and {path} share a stem, by which images are paired; keep one.")
        found[path.stem] = path
    return found


def _summary(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"mean": float(np.mean(values)), "median": float(np.median(values)), "min": min(values), "max": max(values)}


def _some(stems: set[str]) -> str:
    names = ", ".join(sorted(stems)[:_NAMED])
    return names if len(stems) <= _NAMED else f"{names} and {len(stems) - _NAMED} more"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} px"
