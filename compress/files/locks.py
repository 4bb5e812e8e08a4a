"""Locks on outputs: two commands never write to one place at once.

A lock is the operating system's, on a file beside the output, so it ends with its owner, however that ends.
"""

import fcntl
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compress.errors import UsageError

_POLL_S = 0.5
_log = logging.getLogger(__name__)


class Busy(UsageError):
    """Raised for an output that another command is writing."""


@dataclass
class _Held:
    """A lock of this process."""

    descriptor: int
    uses: int = 1


class _Locks:
    """The locks of this process, which may ask for one of its own again."""

    def __init__(self) -> None:
        self.waits = False
        self._held: dict[Path, _Held] = {}
        self._one_at_a_time = threading.RLock()

    def acquire(self, path: Path) -> None:
        with self._one_at_a_time:
            if held := self._held.get(path):
                held.uses += 1
            else:
                self._held[path] = _Held(_acquire(path, waits=self.waits))

    def release(self, path: Path) -> None:
        with self._one_at_a_time:
            held = self._held[path]
            held.uses -= 1
            if not held.uses:
                del self._held[path]
                # Removed while it is held: who waits for it finds that its file is gone, and takes a new one.
                path.unlink(missing_ok=True)
                os.close(held.descriptor)


_locks = _Locks()


def wait_for_others(waits: bool) -> None:
    """Set whether `locked` waits for another command to end, or raises."""
    _locks.waits = waits


def absolute(output: Path) -> Path:
    """Return where an output lies: its folder without links, `.` and `..`, and its own name, which may be a link's.

    Raises:
        UsageError: If it has no name of its own.
    """
    if not output.resolve().name:
        raise UsageError(f"{output} has no name that could be written to. Pass another --out.")
    return output.resolve() if output.name in ("", "..") else output.parent.resolve() / output.name


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Hold an output's place: a file or folder that may not exist yet.

    Folders above it are made, and removed at the end where nothing came of them.

    Raises:
        Busy: If another command holds it and `wait_for_others` was not asked for.
        OSError: If nothing can be written beside it.
    """
    output = absolute(output)
    made = _make_folders(output.parent)
    lock = output.parent / f".{output.name}.lock"
    try:
        _locks.acquire(lock)
        try:
            yield
        finally:
            _locks.release(lock)
    finally:
        for folder in made:
            # One that holds something by now stays, and so do those above it.
            try:
                folder.rmdir()
            except OSError:
                break


def _make_folders(place: Path) -> list[Path]:
    """Make a folder and those above it; return what was made, the innermost first."""
    missing = [folder for folder in (place, *place.parents) if not folder.exists()]
    place.mkdir(parents=True, exist_ok=True)
    return missing


def _acquire(path: Path, *, waits: bool) -> int:
    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _describe_owner(descriptor)
            os.close(descriptor)
            if not waits:
                raise Busy(
                    f"{path.parent / path.name[1:].removesuffix('.lock')} is being written by {owner}. Wait for it "
                    "with --wait, or pass another --out."
                ) from None
            if not told:
                _log.info("waiting for %s", owner)
                told = True
            time.sleep(_POLL_S)
            continue
        except BaseException:
            os.close(descriptor)
            raise
        if _is_current(descriptor, path):
            _write_owner(descriptor)
            return descriptor
        os.close(descriptor)


def _is_current(descriptor: int, path: Path) -> bool:
    """Check that the locked file is still the one of its name: its last owner removes it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_owner(descriptor: int) -> None:
    owner = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.time(),
        "command": " ".join(sys.argv[1:])[:500],
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(owner).encode(), 0)


def _describe_owner(descriptor: int) -> str:
    try:
        owner = json.loads(os.pread(descriptor, 1 << 16, 0))
        minutes, seconds = divmod(max(0, round(time.time() - owner["since"])), 60)
        age = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return f"process {int(owner['process'])} on {owner['host']!s}, for {age} ({owner['command']!a})"
    except (OSError, ValueError, KeyError, TypeError):
        # Between its lock and its name there is a moment.
        return "another command"
