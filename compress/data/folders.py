"""CycleGAN's layout of a data set: `trainA/ trainB/ testA/ testB/` in one folder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.artifact import file_fingerprint
from compress.data.config import Domain, SingleDomain, Split
from compress.errors import UnusableData
from compress.files.apart import LAYOUT
from compress.images import list_images

_NAMES_SHOWN = 6


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
            raise UnusableData(f"{self.root} is no folder; expected one that holds {_join(LAYOUT)}.")
        if not wanted.is_dir():
            raise UnusableData(
                f"{self.root} has no folder {wanted.name}; expected CycleGAN's layout, {_join(LAYOUT)}.\n"
                f"It holds {_contents(self.root)}. Rename or link a folder of images to {wanted.name}."
            )
        return wanted


def list_photos(data: Path, domain: Domain, split: Split) -> list[Path]:
    """List the photos of one domain, or of A and then B, each sorted by name.

    Args:
        data: The folder that holds `trainA trainB testA testB`.
        domain: `both` is for a generator that is to see everything; a name may then occur twice, once in each folder.
        split: Half of the data set.

    Raises:
        UnusableData: If a folder is missing or holds no image.
    """
    folders = CycleGanFolders(data)
    return [path for one in _domains(domain) for path in list_images(folders.folder(split, one))]


def fingerprint_split(data: Path, split: Split) -> str:
    """Return a hash of the names and bytes of all photos of a split, hexadecimal, whatever else lies beside them.

    Folders that are missing count as empty.

    Args:
        data: The folder that holds `trainA trainB testA testB`.
        split: Half of the data set.
    """
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
