"""Pairs that a user brings: photos in `inputs/`, what any generator made of them in `targets/`, of the same names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress import images
from compress.artifact import file_fingerprint
from compress.console.progress import progress
from compress.data.arrays import new_array
from compress.distill.config import DistillConfig
from compress.distill.training_data.pairs import MINIMUM_PHOTOS, Pairs
from compress.errors import UnusableData, UsageError

INPUTS, TARGETS = "inputs", "targets"
_NAMES_SHOWN = 6
_OF_A_TEACHER = {
    "from_teacher": "starts from its layers",
    "feature_weight": "looks through its encoder",
    "channel_weight": "looks through its encoder",
    "gram_weight": "looks through its encoder",
    "hint_weight": "looks at its inner features",
}
"""Fields of a configuration that need the teacher itself, and what for."""


@dataclass(frozen=True)
class GivenPairs:
    """Files of photos and of their targets, in the same order."""

    folder: Path
    photos: list[Path]
    targets: list[Path]

    def fingerprint(self) -> str:
        """Return the hash of the targets, which stands for the teacher that nobody has."""
        return file_fingerprint(self.folder / TARGETS, self.targets)


def list_given_pairs(folder: Path) -> GivenPairs:
    """List the pairs of a folder, sorted by the photos' names.

    Args:
        folder: Holds `inputs` and `targets`; a photo and its target share a name but for the suffix.

    Raises:
        UnusableData: If either is missing, two files of one share a name, or a file has no partner, naming those.
    """
    halves = []
    for name in (INPUTS, TARGETS):
        if not (folder / name).is_dir():
            raise UnusableData(f"{folder} has no folder {name}; expected {INPUTS} and {TARGETS}, of the same names.")
        paths = images.list_images(folder / name)
        images.require_distinct_stems(paths)
        halves.append({path.stem: path for path in paths})
    photos, targets = halves
    alone = [str(path) for stem, path in photos.items() if stem not in targets]
    alone += [str(path) for stem, path in targets.items() if stem not in photos]
    if alone:
        shown = ", ".join(alone[:_NAMES_SHOWN]) + (
            f" and {len(alone) - _NAMES_SHOWN} more" * (len(alone) > _NAMES_SHOWN)
        )
        raise UnusableData(f"{len(alone)} files of {folder} have no partner: {shown}. Add it, or take them out.")
    if len(photos) < MINIMUM_PHOTOS:
        raise UnusableData(
            f"{folder} holds {len(photos)} pair, expected at least {MINIMUM_PHOTOS}, better some hundreds."
        )
    return GivenPairs(folder, list(photos.values()), [targets[stem] for stem in photos])


def require_no_teacher(config: DistillConfig) -> None:
    """Check that nothing in a configuration needs the inside of a teacher, of which pairs show the outside alone.

    Raises:
        UsageError: Naming what does.
    """
    needing = [name for name in _OF_A_TEACHER if getattr(config, name)]
    if needing:
        told = ", ".join(f"{name} = {getattr(config, name)} ({_OF_A_TEACHER[name]})" for name in needing)
        raise UsageError(f"--pairs brings no teacher, but {told}. Leave it out, or pass --teacher and --data.")


def load_given_pairs(given: GivenPairs, work: Path, image_size_px: int) -> Pairs:
    """Read pairs into two arrays on disk, cropped and resized as photos are.

    Args:
        given: From `list_given_pairs`.
        work: Folder for the two arrays.
        image_size_px: Side of the square.

    Raises:
        UnusableData: Naming every file that is broken: a photo without its target is no pair.
    """
    photos = _load(given.photos, work / "photos.npy", image_size_px)
    targets = _load(given.targets, work / "targets.npy", image_size_px)
    return Pairs(photos, targets, np.arange(len(given.photos)))


def _load(paths: Sequence[Path], file: Path, image_size_px: int) -> np.ndarray:
    pixels = new_array(file, (len(paths), image_size_px, image_size_px, 3))
    broken = []
    for place, path in enumerate(progress(paths, name=file.stem, unit="image")):
        try:
            pixels[place] = images.read_image(path, image_size_px)
        except UnusableData as error:
            broken.append(str(error))
    if broken:
        raise UnusableData("\n".join([f"{len(broken)} {file.stem} are broken:", *broken]))
    return pixels
