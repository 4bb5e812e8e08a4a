"""Remote storage through fsspec: images listed by name, copied here a shard at a time, results written back.

Which storages there are depends on what is installed beside fsspec: s3:// needs s3fs, gs:// gcsfs.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from compress.errors import PocketGANError, UnusableData, UsageError
from compress.files.remote import is_remote, to_url
from compress.images import list_images
from compress.images.folder import LEFT_OUT_TOLERANCE, read_formats
from compress.images.formats import format_of_name

_AT_ONCE = 64
"""Files that are copied here at once."""
_log = logging.getLogger(__name__)


def open_storage(place: Path) -> tuple[Any, str]:
    """Return the fsspec filesystem that a remote path is in, and the path in it.

    Raises:
        UsageError: If no installed package knows the protocol.
    """
    import fsspec

    url = to_url(place)
    try:
        return fsspec.url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{url} needs one more package ({error}). Install it beside this tool, or copy the files to a local folder."
        ) from error
    except ValueError as error:
        raise UsageError(
            f"{url} is in no storage that is known ({error}); expected s3://, gs:// or a folder."
        ) from error


def list_images_anywhere(folder: Path) -> list[Path]:
    """List the photos of a folder, sorted by name: as `list_images`, and of remote storage by their names alone.

    Raises:
        UnusableData: If it is missing or holds no photo, or more than `LEFT_OUT_TOLERANCE` of its photos are of a kind
            that is not read.
    """
    if not is_remote(folder):
        return list_images(folder)
    storage, root = open_storage(folder)
    names = [name for name in _file_names(storage, root, folder) if not name.startswith(".")]
    kinds = {name: format_of_name(Path(name)) for name in names}
    found = sorted(folder / name for name, kind in kinds.items() if kind is not None and kind.is_read)
    unread = sorted(name for name, kind in kinds.items() if kind is not None and not kind.is_read)
    if unread and len(unread) > LEFT_OUT_TOLERANCE * (len(found) + len(unread)):
        raise UnusableData(
            f"{len(unread)} of {len(found) + len(unread)} photos in {to_url(folder)} are of a kind that is not read, "
            f"the first {unread[0]}; expected {', '.join(read_formats())} files."
        )
    if not found:
        raise UnusableData(f"{to_url(folder)} holds no image; expected {', '.join(read_formats())} files.")
    if len(found) < len(names):
        _log.info("%s: %d files that are no photos are left out", to_url(folder), len(names) - len(found))
    return found


def _file_names(storage: Any, root: str, folder: Path) -> Iterator[str]:
    try:
        entries = storage.ls(root, detail=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnusableData(f"{to_url(folder)} is no folder; expected one with images.") from error
    return (entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "file")


@dataclass(frozen=True)
class Staged:
    """Files on this machine: themselves, or copies of remote ones, by the same names."""

    paths: list[Path]
    origins: dict[str, str]
    """URL of the folder that each folder of copies stands for."""

    def name_origins(self, text: str) -> str:
        """Return a message in which copies are called what they are copies of."""
        for copies, origin in self.origins.items():
            text = text.replace(copies, origin)
        return text


@contextmanager
def staged(paths: Iterable[Path]) -> Iterator[Staged]:
    """Have files on this machine, in their order, for as long as this lasts; local ones are not copied.

    Raises:
        PocketGANError: What is raised within, naming the remote files instead of their copies.
    """
    wanted = list(paths)
    if not any(map(is_remote, wanted)):
        yield Staged(wanted, {})
        return
    with tempfile.TemporaryDirectory(prefix="pocketgan-shard-") as scratch:
        copies = _copy(wanted, Path(scratch))
        try:
            yield copies
        except PocketGANError as error:
            raise type(error)(copies.name_origins(str(error))) from error


def _copy(paths: Sequence[Path], scratch: Path) -> Staged:
    folders = {folder: scratch / str(number) for number, folder in enumerate(dict.fromkeys(p.parent for p in paths))}
    for folder, copies in folders.items():
        copies.mkdir()
        names = [path.name for path in paths if path.parent == folder]
        if is_remote(folder):
            storage, root = open_storage(folder)
            storage.get([f"{root}/{name}" for name in names], [str(copies / name) for name in names])
    remote = {folder: copies for folder, copies in folders.items() if is_remote(folder)}
    return Staged(
        [remote[path.parent] / path.name if path.parent in remote else path for path in paths],
        {str(copies): to_url(folder) for folder, copies in remote.items()},
    )


def read_through(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files on this machine, in their order; a copy lasts until the next file is asked for."""
    rest = iter(paths)
    while some := list(islice(rest, _AT_ONCE)):
        with staged(some) as local:
            yield from local.paths


def upload(files: Sequence[Path], folder: Path) -> None:
    """Write files of this machine to a folder of remote storage, by their names."""
    storage, root = open_storage(folder)
    storage.makedirs(root, exist_ok=True)
    storage.put([str(path) for path in files], [f"{root}/{path.name}" for path in files])


def exists(place: Path) -> bool:
    """Return whether a remote file, or a folder with something in it, is there."""
    storage, root = open_storage(place)
    return storage.isfile(root) or (storage.isdir(root) and bool(storage.ls(root, detail=False)))
