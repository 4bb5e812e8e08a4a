"""Cache of the teacher's images: each photo is translated once, and kept on disk under the hash of its pixels.

The cache is one PNG an image, named by the SHA-256 of the input's pixels, in a folder named by the teacher's
fingerprint and the size. A stopped run resumes where it was; another student of the same teacher starts at once. What
is torn, or of another size, is made anew.
"""

import hashlib
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from compress import images
from compress.artifact import user_cache
from compress.cache.store import Damaged, Store

FOLDER = "teacher_images"
"""Folder within the user's cache that holds a folder for each teacher and size."""

Translate = Callable[[np.ndarray], np.ndarray]
"""Function from `(batch, height, width, 3)` float32 in [-1, 1] to the same, such as a teacher."""

_log = logging.getLogger(__name__)


def cache_folder(teacher_fingerprint: str, image_size_px: int) -> Path:
    """Return the folder within the user's cache of a teacher's images at a size.

    Args:
        teacher_fingerprint: Hash of its description: a file that is read in another way makes other images.
        image_size_px: Side of the square.
    """
    return user_cache() / FOLDER / f"{teacher_fingerprint[:16]}-{image_size_px}px"


class TeacherImages:
    """A teacher as a function of one photo, that remembers.

    Args:
        translate: The teacher; called with a batch of one where the cache lacks the photo.
        folder: From `cache_folder`; made if missing.
    """

    def __init__(self, translate: Translate, folder: Path) -> None:
        self._translate = translate
        self._store = Store(folder)
        self._damaged = 0
        self._can_keep = True

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """Translate a photo, or take its translation from the cache.

        Args:
            photo: `(height, width, 3)` uint8.

        Returns:
            The same shape and type.
        """
        name = f"{hashlib.sha256(photo.tobytes()).hexdigest()}.png"
        try:
            image = self._store.load(name, lambda path: _read(path, photo.shape))
        except Damaged as damage:
            _log.debug("%s", damage)
            self._damaged += 1
            image = None
        if image is None:
            image = images.to_uint8(self._translate(images.to_float(photo[None]))[0])
            self._keep(name, image)
        return image

    def report_damage(self) -> None:
        """Say how many images were torn and were made anew, if any were."""
        if self._damaged:
            _log.warning(
                "%d of the teacher's images in %s were damaged and were made anew", self._damaged, self._store.folder
            )
            self._damaged = 0

    def _keep(self, name: str, image: np.ndarray) -> None:
        stream = io.BytesIO()
        images.write_png(stream, image)
        try:
            self._store.keep(name, stream.getvalue())
        # A full disk costs the next run its time, not this one its result.
        except OSError as error:
            if self._can_keep:
                _log.warning("the teacher's images are not kept: %s", error)
            self._can_keep = False


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    image = images.read_image(path)
    if image.shape != shape:
        raise ValueError(f"its shape is {image.shape}, expected {shape}")
    return image
