"""Store of results by name, each sealed with a hash of its bytes: what is damaged is found, and made anew.

The seal is the last line of a file, behind what the file holds, where readers of PNG and NumPy's files do not look. So
file and hash are written as one, and a folder that several machines share never holds one without the other.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from compress.files.atomic import replace_bytes

_Result = TypeVar("_Result")
_SEAL = b"\nPocketGAN sha256 "
_SEAL_BYTES = len(_SEAL) + 64
_BLOCK_BYTES = 1 << 20
_STALE_S = 24 * 3600
"""Age from which an unfinished file belongs to a process that was killed."""
_log = logging.getLogger(__name__)


class Damaged(Exception):
    """Raised for a kept result that cannot be right; it says why."""


class Store:
    """A folder of results; made when there is something to keep.

    Args:
        folder: None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._is_swept = False

    def path(self, name: str) -> Path | None:
        """Return where a result lies, or would; None where nothing is kept."""
        return None if self.folder is None else self.folder / name

    def load(self, name: str, read: Callable[[Path], _Result]) -> _Result | None:
        """Load a result; None where none is kept.

        A file without a seal, as earlier versions wrote them, is taken if it can be read.

        Args:
            name: Name of its file.
            read: Reads the file; whatever it raises says that the file is damaged. A format without checksums of its
                own must find the file's end behind its content, or a seal: see `require_seal_or_end`.

        Raises:
            Damaged: If the file is torn, changed, unreadable or no file.
        """
        path = self.path(name)
        if path is None or not os.path.lexists(path):
            return None
        try:
            _check_seal(path)
            result = read(path)
        # A torn header makes a parser trip over whatever comes first.
        except Exception as error:
            raise Damaged(f"{path}: {error}") from error
        _mark_used(path)
        return result

    def keep(self, name: str, content: bytes) -> None:
        """Keep a result under a name, whatever is there.

        Raises:
            OSError: If it cannot be written. It costs the next command its time, this one nothing.
        """
        path = self.path(name)
        if path is None:
            return
        self._sweep()
        replace_bytes(path, content + _seal(hashlib.sha256(content).hexdigest()))

    def _sweep(self) -> None:
        """Remove, once, what killed processes left unfinished."""
        if self._is_swept or self.folder is None or not self.folder.is_dir():
            return
        self._is_swept = True
        for path in unfinished_files(self.folder):
            path.unlink(missing_ok=True)


def require_seal_or_end(rest: bytes) -> None:
    """Check what follows the content of a kept file, by which a spoilt seal is told from a file that has none.

    Raises:
        ValueError: If it is neither a seal nor nothing.
    """
    if rest and not rest.startswith(_SEAL):
        raise ValueError("its bytes and their hash are others than were kept")


def unfinished_files(folder: Path) -> Iterator[Path]:
    """Yield files that a process began and never finished: those of running ones are younger."""
    for path in folder.iterdir():
        if is_unfinished(path.name) and time.time() - path.stat().st_mtime > _STALE_S:
            yield path


def is_unfinished(name: str) -> bool:
    """Check whether a file's name is that of one that is being written; `.partial` was the mark of earlier versions."""
    return (name.startswith(".") and ".partial-" in name) or name.endswith(".partial")


def _seal(digest: str) -> bytes:
    return _SEAL + digest.encode()


def _check_seal(path: Path) -> None:
    """Check a file's bytes against the hash at its end, if there is one.

    Raises:
        ValueError: If they are others than were kept.
    """
    left = path.stat().st_size - _SEAL_BYTES
    if left < 0:
        return
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while left:
            block = stream.read(min(_BLOCK_BYTES, left))
            if not block:
                return
            digest.update(block)
            left -= len(block)
        seal = stream.read()
    if seal.startswith(_SEAL) and seal != _seal(digest.hexdigest()):
        raise ValueError("its bytes are others than were kept")


def _mark_used(path: Path) -> None:
    """Note when a file was last used, by which `compress cache --max-bytes` goes: many disks do not by themselves."""
    try:
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
    # Somebody else's cache can be read all the same.
    except OSError:
        return
