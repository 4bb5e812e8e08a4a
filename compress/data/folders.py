"""Data sets on disk: CycleGAN's layout `trainA/ trainB/ testA/ testB/`, or one folder of the photos to translate."""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import file_fingerprint
from compress.data.config import Domain, SingleDomain, Split
from compress.errors import UnusableData
from compress.files.apart import LAYOUT
from compress.images import list_images
from compress.images.formats import format_of_name

TEST_EVERY = 5
"""Of a single folder's photos one in so many is kept for the test, whichever its name's hash says."""
_NAMES_SHOWN = 6
_log = logging.getLogger(__name__)
_said: set[Path] = set()
"""Folders whose division was told: a command lists most of them several times."""


@dataclass(frozen=True)
class CycleGanFolders:
    """Data set on disk; only folders that are needed have to exist, so a set without `testB` can still train."""

    root: Path

    def folder(self, split: Split, domain: SingleDomain) -> Path:
        """Find one of the four folders.

        Raises:
            UnusableData: If it is missing, naming what is there instead.
        """
        wanted = self.root / f"{split}{domain}"
        if not self.root.is_dir():
            raise UnusableData(f"{self.root} is no folder; expected one of photos, or one that holds {_join(LAYOUT)}.")
        if not wanted.is_dir():
            raise UnusableData(
                f"{self.root} has no folder {wanted.name}; expected CycleGAN's layout, {_join(LAYOUT)}, or photos.\n"
                f"It holds {_contents(self.root)}. Rename or link a folder of images to {wanted.name}."
            )
        return wanted


def list_photos(data: Path, domain: Domain, split: Split) -> list[Path]:
    """List the photos of one domain, or of A and then B, each sorted by name.

    Args:
        data: The folder that holds `trainA trainB testA testB`, or a folder of photos, which are domain A: one in
            `TEST_EVERY` of them is the test half.
        domain: `both` is for a generator that is to see everything; a name may then occur twice, once in each folder.
        split: Half of the data set.

    Raises:
        UnusableData: If a folder is missing or holds no image.
    """
    if is_single_folder(data) and domain != "B":
        return _list_single_folder(data, split)
    folders = CycleGanFolders(data)
    return [path for one in _domains(domain) for path in list_images(folders.folder(split, one))]


def list_photos_to_translate(place: Path) -> list[Path]:
    """List what a user means by photos: one photo, those of a folder, or the test photos of a data set.

    Args:
        place: A photo, a folder of photos, or a folder in CycleGAN's layout, of which domain A is taken, else B.

    Raises:
        UnusableData: If there is no photo.
    """
    if place.is_file():
        return [place]
    halves = [place / name for name in ("testA", "testB", "trainA", "trainB") if (place / name).is_dir()]
    if not halves:
        return list_images(place)
    _log.info("%s is a data set: its photos in %s are taken", place, halves[0].name)
    return list_images(halves[0])


def is_single_folder(data: Path) -> bool:
    """Return whether a data set is one folder with photos in it instead of CycleGAN's folders."""
    if not data.is_dir() or any((data / name).is_dir() for name in LAYOUT):
        return False
    with os.scandir(data) as entries:
        return any(entry.is_file() and format_of_name(Path(entry.name)) is not None for entry in entries)


def domain_of(photo: Path, split: Split) -> str:
    """Return the domain that a photo of a data set is of: A of a single folder."""
    domain = photo.parent.name.removeprefix(split).removesuffix("_paired")
    return domain if domain in ("A", "B") else "A"


def _list_single_folder(data: Path, split: Split) -> list[Path]:
    """List one half of a single folder; which half a photo is in depends on its name alone."""
    photos = list_images(data)
    test = [path for path in photos if int(hashlib.sha256(path.name.encode()).hexdigest(), 16) % TEST_EVERY == 0]
    train = sorted(set(photos) - set(test))
    if data not in _said:
        _said.add(data)
        _log.info("%s: %d photos to train on, %d kept for the test", data, len(train), len(test))
    found = test if split == "test" else train
    if not found:
        raise UnusableData(f"{data} holds {len(photos)} photos, none of them for the {split} half. Add more.")
    return found


def fingerprint_split(data: Path, split: Split) -> str:
    """Return a hash of the names and bytes of all photos of a split, hexadecimal, whatever else lies beside them.

    Folders that are missing count as empty.

    Args:
        data: See `list_photos`.
        split: Half of the data set.
    """
    if is_single_folder(data):
        return file_fingerprint(data, _list_single_folder(data, split))
    halves = [data / f"{split}{domain}" for domain in _domains("both")]
    folders = [folder for half in halves for folder in (half, paired_folder(half))]
    parts = [f"{folder.name} {_fingerprint_photos(folder)}" for folder in folders if folder.is_dir()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _fingerprint_photos(folder: Path) -> str:
    try:
        return file_fingerprint(folder, list_images(folder))
    except UnusableData:
        return file_fingerprint(folder, [])


def find_paired_images(photos: Sequence[Path]) -> list[Path]:
    """Find the paired image of each photo: the file of its name in `FOLDER_paired` beside its folder.

    Args:
        photos: At least one photo.

    Raises:
        UnusableData: If one is missing.
    """
    found = [paired_folder(photo.parent) / photo.name for photo in photos]
    missing = [path for path in found if not path.is_file()]
    if missing:
        folders = " and ".join(dict.fromkeys(photo.parent.name for photo in photos))
        raise UnusableData(
            f"{len(missing)} of {len(found)} images in {folders} have no paired image, the first is {missing[0]}. "
            "Expected a file of each image's name there, as `compress data avatars --train-paired` draws."
        )
    return found


def paired_folder(folder: Path) -> Path:
    """Return the folder of the paired images of a folder's photos, which may not exist."""
    return folder.with_name(f"{folder.name}_paired")


def _domains(domain: Domain) -> tuple[SingleDomain, ...]:
    return ("A", "B") if domain == "both" else (domain,)


def _contents(folder: Path) -> str:
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    if not names:
        return "nothing"
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return _join(names[:_NAMES_SHOWN]) + more


def _join(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
