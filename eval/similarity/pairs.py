"""Pairs of images in two folders: those of the same name."""

from collections.abc import Callable
from pathlib import Path

from compress.errors import UnusableData
from compress.images import list_images

Lister = Callable[[Path], list[Path]]
_NAMED = 3


def pair_by_stem(first: Path, second: Path, listed: Lister = list_images) -> dict[str, tuple[Path, Path]]:
    """Pair the images of two folders by name without suffix, sorted.

    Args:
        first: A folder.
        second: Another one.
        listed: Lists the images of a folder.

    Raises:
        UnusableData: If a folder has no images or two of one stem, or an image has no partner.
    """
    ours, theirs = list_by_stem(first, listed), list_by_stem(second, listed)
    unpaired = [f"{_first_few(ours.keys() - theirs.keys())} only in {first}"] if ours.keys() - theirs.keys() else []
    unpaired += [f"{_first_few(theirs.keys() - ours.keys())} only in {second}"] if theirs.keys() - ours.keys() else []
    if unpaired:
        raise UnusableData(f"images are unpaired: {'; '.join(unpaired)}. Translate both folders from the same photos.")
    return {stem: (path, theirs[stem]) for stem, path in ours.items()}


def list_by_stem(folder: Path, listed: Lister = list_images) -> dict[str, Path]:
    """List the images of a folder by name without suffix, sorted.

    Raises:
        UnusableData: If it has no images, or two of one stem.
    """
    found: dict[str, Path] = {}
    for path in listed(folder):
        if path.stem in found:
            raise UnusableData(f"{found[path.stem]} and {path} share a stem, by which images are paired; keep one.")
        found[path.stem] = path
    return found


def _first_few(stems: set[str]) -> str:
    names = ", ".join(sorted(stems)[:_NAMED])
    return names if len(stems) <= _NAMED else f"{names} and {len(stems) - _NAMED} more"
