"""Real images of the domain that the student translates into, for the discriminator to compare with."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress.data.arrays import load_into_memmap
from compress.data.config import Domain, opposite
from compress.data.folders import list_photos
from compress.distill.config import DiscriminatorConfig


def list_real_images(data: Path, domain: Domain, config: DiscriminatorConfig) -> list[Path]:
    """List real images: `trainB` for a student of domain A, `trainA` for one of B; none without a discriminator.

    There are none either for a student of both domains, or where the folder is missing: the discriminator then compares
    with the teacher's images.

    Args:
        data: A folder with `trainA` and `trainB`.
        domain: Domain of the photos that the student translates.
        config: Says whether there is a discriminator.

    Raises:
        UnusableData: If the folder holds no image.
    """
    target = opposite(domain)
    if not config.adversarial_weight or target is None or not (data / f"train{target}").exists():
        return []
    return list_photos(data, target, "train")


def load_real_images(paths: Sequence[Path], file: Path, image_size_px: int) -> np.ndarray | None:
    """Load real images into an array on disk, cropped and resized as photos are.

    Args:
        paths: Image files.
        file: The array to write.
        image_size_px: Side of the square.

    Returns:
        `(count, image_size_px, image_size_px, 3)` uint8, memory-mapped; None without paths.

    Raises:
        UnusableData: If too many are broken.
    """
    return load_into_memmap(paths, file, (image_size_px, image_size_px)) if paths else None
