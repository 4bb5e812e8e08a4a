"""Images as one array on disk: training reads it batch by batch, so that millions of images need no memory."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress import images
from compress.console.progress import progress


def new_array(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Make an array of bytes on disk, its room taken: on a full disk a mapped file without room kills the process.

    Args:
        file: The `.npy` file to write.
        shape: Of the array.

    Raises:
        OSError: If there is no room; nothing is left.
    """
    pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    # Not everywhere: where it is missing, a full disk shows when the pages are written.
    if hasattr(os, "posix_fallocate"):
        try:
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, max(1, file.stat().st_size))
        except OSError as error:
            file.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(file)) from error
    return pixels


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
    pixels = new_array(file, (len(paths), *size, 3))
    count = 0
    with progress(total=len(paths), name=paths[0].parent.name if paths else "images", unit="image") as bar:
        for _, image in images.read_images(paths, size):
            pixels[count] = image
            count += 1
            bar.update()
    return pixels[:count]
