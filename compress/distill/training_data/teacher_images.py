"""Cache of the teacher's images: each photo is translated once, and kept on disk under the hash of its pixels.

The cache is one PNG an image, named by the SHA-256 of the input's pixels, in a folder named by the teacher's
fingerprint and the size. A stopped run resumes where it was; another student of the same teacher starts at once.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress import images
from compress.artifact import user_cache

Translate = Callable[[np.ndarray], np.ndarray]
"""Function from `(batch, height, width, 3)` float32 in [-1, 1] to the same, such as a teacher."""


def cache_folder(teacher_fingerprint: str, image_size_px: int, root: Path | None = None) -> Path:
    """Return the cache folder of a teacher's images at a size; in the user's cache where `root` is None."""
    return (root or user_cache()) / "teacher_images" / f"{teacher_fingerprint[:16]}-{image_size_px}px"


def translate_cached(photo: np.ndarray, translate: Translate, cache: Path) -> np.ndarray:
    """Translate a photo, or take its translation from the cache.

    Args:
        photo: `(height, width, 3)` uint8.
        translate: The teacher; called with a batch of one where the cache lacks the photo.
        cache: The folder from `cache_folder`; made if missing.

    Returns:
        `(height, width, 3)` uint8.
    """
    entry = cache / f"{hashlib.sha256(photo.tobytes()).hexdigest()}.png"
    if entry.exists():
        return images.read_image(entry)
    image = images.to_uint8(translate(images.to_float(photo[None]))[0])
    cache.mkdir(parents=True, exist_ok=True)
    partial = entry.with_suffix(f".{os.getpid()}.partial")
    images.write_png(partial, image)
    partial.rename(entry)
    return image
