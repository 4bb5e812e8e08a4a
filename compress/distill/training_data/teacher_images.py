"""Cache of the teacher's images: each photo is translated once, and kept on disk under the hash of its pixels.

The cache is one PNG an image, named by the SHA-256 of the input's pixels, in a folder named by the teacher's
fingerprint and the size. A stopped run resumes where it was; another student of the same teacher starts at once. What
is torn, or of another size, is made anew. Images are made in batches, and written while the next ones are made.
"""

import hashlib
import io
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress import images
from compress.artifact import user_cache
from compress.cache.store import Damaged, Store

if TYPE_CHECKING:
    from compress.training.precision import Policy

FOLDER = "teacher_images"
"""Folder within the user's cache that holds a folder for each teacher and size."""

Translate = Callable[[np.ndarray], np.ndarray]
"""Function from `(batch, height, width, 3)` float32 in [-1, 1] to the same, such as a teacher."""

BATCH_SIZE = 4
"""Photos that a teacher translates at once: as fast as more, at a fraction of their memory."""
_MOST_PIXELS = BATCH_SIZE * 256 * 256
"""Of a batch; larger photos go by fewer."""

_log = logging.getLogger(__name__)


def cache_folder(teacher_fingerprint: str, image_size_px: int, precision: "Policy" = "float32") -> Path:
    """Return the folder within the user's cache of a teacher's images at a size.

    Args:
        teacher_fingerprint: Hash of its description: a file that is read in another way makes other images.
        image_size_px: Side of the square.
        precision: Arithmetic that they are made in: those of one are not mixed with those of another.
    """
    name = f"{teacher_fingerprint[:16]}-{image_size_px}px"
    return user_cache() / FOLDER / (name if precision == "float32" else f"{name}-{precision}")


def batch_size(height: int, width: int) -> int:
    """Return how many photos of a size, pixels, a teacher translates at once."""
    return max(1, min(BATCH_SIZE, _MOST_PIXELS // (height * width)))


class TeacherImages:
    """A teacher as a function of photos, that remembers.

    Args:
        translate: The teacher; called with batches of one size, filled up with black where fewer photos are left, so
            that a framework compiles it once.
        folder: From `cache_folder`; made if missing.
    """

    def __init__(self, translate: Translate, folder: Path) -> None:
        self._translate = translate
        self._store = Store(folder)
        self._damaged = 0
        self._can_keep = True
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[None] | None = None

    def __call__(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Translate photos, or take their translations from the cache.

        Args:
            photos: Each `(height, width, 3)` uint8, all of one shape.

        Returns:
            As many of the same shape and type.
        """
        names = [f"{hashlib.sha256(photo.tobytes()).hexdigest()}.png" for photo in photos]
        found = [self._load(name, photo.shape) for name, photo in zip(names, photos, strict=True)]
        missing = [place for place, image in enumerate(found) if image is None]
        made = self._make([photos[place] for place in missing])
        self._keep_later({names[place]: image for place, image in zip(missing, made, strict=True)})
        fresh = iter(made)
        return [next(fresh) if image is None else image for image in found]

    def finish(self) -> None:
        """Wait until all is written, and say how many images were torn and were made anew, if any were."""
        if self._written is not None:
            self._written.result()
        if self._damaged:
            _log.warning(
                "%d of the teacher's images in %s were damaged and were made anew", self._damaged, self._store.folder
            )
            self._damaged = 0

    def _load(self, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
        try:
            return self._store.load(name, lambda path: _read(path, shape))
        except Damaged as damage:
            _log.debug("%s", damage)
            self._damaged += 1
            return None

    def _make(self, photos: Sequence[np.ndarray]) -> list[np.ndarray]:
        made: list[np.ndarray] = []
        size = batch_size(*photos[0].shape[:2]) if photos else BATCH_SIZE
        for first in range(0, len(photos), size):
            some = photos[first : first + size]
            batch = np.zeros((size, *some[0].shape), np.uint8)
            batch[: len(some)] = some
            made += list(images.to_uint8(self._translate(images.to_float(batch))[: len(some)]))
        return made

    def _keep_later(self, made: dict[str, np.ndarray]) -> None:
        """Write images on another thread, after those of the call before, of which there are never more than one's."""
        if not made:
            return
        if self._written is not None:
            self._written.result()
        self._written = self._writer.submit(self._keep, made)

    def _keep(self, made: dict[str, np.ndarray]) -> None:
        for name, image in made.items():
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
