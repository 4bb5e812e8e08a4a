"""States of a folder between two changes of a command, saved while it runs: each is what a kill would leave there.

A process that is killed leaves what the operating system holds of its files by then, whoever reads it: what it had not
yet written is lost to a copy as to a kill. A copied lock is free, as a dead owner's is, and names a process that has
ended by the time the copy is used. A state is put back at its own path, and contents are stored once, by their hash.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_CONTENTS = "contents"


def save(folder: Path, states: Path, number: int, event: str) -> None:
    """Save a folder as it is, as the state before a change.

    Args:
        folder: What is saved: folders, files, links.
        states: Folder of all states; made if missing.
        number: Position of the change, from 1.
        event: Name of the change.
    """
    contents = states / _CONTENTS
    contents.mkdir(parents=True, exist_ok=True)
    held = {}
    for path in _walk(folder):
        status = path.lstat()
        what = ""
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes()
            what = hashlib.sha256(content).hexdigest()
            if not (contents / what).exists():
                (contents / what).write_bytes(content)
        held[path.relative_to(folder).as_posix()] = (status.st_mode, status.st_mtime_ns, what)
    (states / f"{number}.json").write_text(json.dumps({"event": event, "held": held}))


def read_events(states: Path) -> list[str]:
    """Read the names of the changes, in order."""
    numbers = sorted(int(path.stem) for path in states.glob("*.json"))
    return [json.loads((states / f"{number}.json").read_text())["event"] for number in numbers]


def restore(folder: Path, states: Path, number: int) -> None:
    """Make a folder what it was before a change, whatever it is now."""
    shutil.rmtree(folder)
    folder.mkdir()
    held = json.loads((states / f"{number}.json").read_text())["held"]
    for name, (mode, _, what) in held.items():
        path = folder / name
        if stat.S_ISDIR(mode):
            path.mkdir()
        elif stat.S_ISLNK(mode):
            path.symlink_to(what)
        else:
            shutil.copyfile(states / _CONTENTS / what, path)
    for name, (mode, modified, _) in reversed(held.items()):
        if not stat.S_ISLNK(mode):
            os.chmod(folder / name, mode & 0o7777)
            os.utime(folder / name, ns=(modified, modified))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield all below a folder, what holds something before what it holds."""
    for place, folders, files in os.walk(folder):
        for name in sorted((*folders, *files)):
            yield Path(place, name)
