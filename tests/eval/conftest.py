"""Folders of drawn images for scoring: deterministic by seed, with edges and textures that a blur destroys."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageFilter

SIZE_PX = 64

Drawer = Callable[..., Path]


@pytest.fixture(scope="session")
def draw() -> Drawer:
    """`draw(folder, count, seed=0, blur_px=0)` fills a folder with PNG files 000.png, 001.png and so on."""

    def fill(folder: Path, count: int, *, seed: int = 0, blur_px: float = 0.0, size_px: int = SIZE_PX) -> Path:
        folder.mkdir(parents=True)
        for index in range(count):
            image = _drawing(np.random.default_rng([seed, index]), size_px)
            image.filter(ImageFilter.GaussianBlur(blur_px)).save(folder / f"{index:03d}.png")
        return folder

    return fill


@pytest.fixture(scope="session")
def swapping_profile() -> bytes:
    """A colour profile by which red is green, and green is red."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return srgb.replace(b"rXYZ", b"____").replace(b"gXYZ", b"rXYZ").replace(b"____", b"gXYZ")


def _drawing(rng: np.random.Generator, size_px: int) -> Image.Image:
    image = Image.new("RGB", (size_px, size_px), tuple(int(value) for value in rng.integers(0, 256, 3)))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = (int(value) for value in rng.integers(0, size_px - 8, 2))
        width, height = (int(value) for value in rng.integers(6, size_px // 2, 2))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((left, top, left + width, top + height), fill=colour, outline="black", width=2)
    grain = rng.integers(-12, 13, (size_px, size_px, 3))
    return Image.fromarray((np.asarray(image, dtype=np.int64) + grain).clip(0, 255).astype(np.uint8))
