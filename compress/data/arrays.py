"""Images as one array on disk: training reads it batch by batch, so that millions of images need no memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress import images
from compress.console.progress import progress


def load_into_memmap(paths: Sequence[Path], file: Path, size: tuple[int, int]) -> np.ndarray:
    """Read images into an array on disk, skipping broken ones.

    Args:
        paths: Image files of one folder.
        file: The `.npy` file to write.
        size: Height and width that they are cropped and resized to, pixels.

    Returns:
        `(usable images, height, width, 3)` uint8, memory-mapped.

    Raises:
        UnusableData: If too many images are broken.
    """
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(len(paths), *size, 3))
    count = 0
    with progress(total=len(paths), name=paths[0].parent.name if paths else "images", unit="image") as bar:
        for _, image in images.read_images(paths, size):
            pixels[count] = image
            count += 1
            bar.update()
    return pixels[:count]
