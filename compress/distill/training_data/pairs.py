"""Pairs of photos and the teacher's images, as arrays on disk that training reads batch by batch."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from compress import images
from compress.console.progress import progress
from compress.data.arrays import new_array
from compress.distill.training_data.occluders.paste import paste_each
from compress.distill.training_data.teacher_images import BATCH_SIZE, TeacherImages
from compress.errors import UnusableData

HOLDOUT_SHARE = 0.1
MINIMUM_PHOTOS = 2
"""Fewest photos: one to train on and one held back."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of images: selected rows of two memory-mapped `(count, height, width, 3)` uint8 arrays."""

    photos: np.ndarray
    targets: np.ndarray
    rows: np.ndarray
    """`(selected,)` int64, the rows of the arrays that belong to this selection."""

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, holdout: int, seed: int) -> tuple["Pairs", "Pairs"]:
        """Split off some held-back pairs, drawn by the seed: at most a tenth, at least one.

        Returns:
            The pairs to train on and the held-back ones.
        """
        count = max(1, min(holdout, int(len(self) * HOLDOUT_SHARE)))
        order = self.rows[np.random.default_rng(seed).permutation(len(self))]
        return self._select(order[count:]), self._select(order[:count])

    def batch(
        self,
        positions: np.ndarray,
        mirrored: np.ndarray | None = None,
        occluders: Sequence[np.ndarray | None] = (),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return photos and targets as float32 in [-1, 1].

        Args:
            positions: `(batch,)` indices within this selection.
            mirrored: `(batch,)` bool, the pairs to flip left to right; None flips none.
            occluders: Of each pair, what is pasted over both of its images before they are flipped; see
                `draw_occluders`. Empty pastes none.
        """
        rows = self.rows[positions]
        photos, targets = paste_each(self.photos[rows], occluders), paste_each(self.targets[rows], occluders)
        if mirrored is not None:
            photos[mirrored], targets[mirrored] = photos[mirrored, :, ::-1], targets[mirrored, :, ::-1]
        return images.to_float(photos), images.to_float(targets)

    def _select(self, rows: np.ndarray) -> "Pairs":
        return Pairs(self.photos, self.targets, np.sort(rows))


@dataclass(frozen=True)
class TargetImages:
    """The teacher's images of pairs as real images are taken: by an array of places, as uint8."""

    pairs: Pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        return self.pairs.targets[self.pairs.rows[places]]


def collect_pairs(paths: Sequence[Path], translate: TeacherImages, *, work: Path, image_size_px: int) -> Pairs:
    """Read the photos and translate them through the cache, into two arrays on disk.

    Args:
        paths: The photos.
        translate: The teacher, with its cache.
        work: Folder for the two arrays.
        image_size_px: Side of the square that photos are cropped and resized to.

    Raises:
        UnusableData: If too many photos are broken, or fewer than two are left.
    """
    shape = (len(paths), image_size_px, image_size_px, 3)
    arrays = [new_array(work / f"{name}.npy", shape) for name in ("photos", "targets")]
    count = 0
    with progress(total=len(paths), name="teacher's images", unit="image") as bar:
        for photos in _read_ahead(paths, image_size_px):
            ended = count + len(photos)
            arrays[0][count:ended], arrays[1][count:ended] = photos, translate(photos)
            count = ended
            bar.update(len(photos))
    translate.finish()
    if count < MINIMUM_PHOTOS:
        raise UnusableData(f"{count} usable photos, expected at least {MINIMUM_PHOTOS}, better some hundreds.")
    return Pairs(arrays[0], arrays[1], np.arange(count))


def _read_ahead(paths: Sequence[Path], image_size_px: int) -> Iterator[list[np.ndarray]]:
    """Yield the photos in batches, the next of which is read on another thread meanwhile."""
    photos = (photo for _, photo in images.read_images(paths, image_size_px))

    def read() -> list[np.ndarray]:
        return list(islice(photos, BATCH_SIZE))

    with ThreadPoolExecutor(max_workers=1) as reader:
        following = reader.submit(read)
        while batch := following.result():
            following = reader.submit(read)
            yield batch
