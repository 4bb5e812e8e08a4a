"""What lies in a folder, without what differs between two runs of one command: times, dates, random names, owners."""

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

Tree = dict[str, bytes | None]
"""Every path below a folder with its bytes; None for folders."""
_MEASURED = {"seconds", "images_per_s", "peak_memory_bytes", "content_sha256", "made"}
"""Keys of measured times and memory, and of hashes of files that hold such."""
_DATED = ("metadata.json",)
"""Members of archives that say when they were written."""
_ADDRESS = re.compile(rb'"shared_object_id": \d+')
"""Keras writes down where in memory a layer's policy lay."""
_RANDOM = re.compile(r"\.(partial|retired)-[^/]+|\.out\.tfevents\.[^/]+")
"""Ends of names that are random, or hold a time and a process."""
_HASH = re.compile(rb"[0-9a-f]{64}")


def read_tree(folder: Path, varies: tuple[str, ...] = (), timed: tuple[str, ...] = ()) -> Tree:
    """Read everything below a folder; of files that vary by themselves, only that they are there.

    Args:
        folder: The folder.
        varies: Endings of files that are not read.
        timed: Endings of JSON files that are read without what was measured.
    """
    tree: Tree = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or (varies and name.endswith(varies)):
            tree[name] = None
        else:
            tree[name] = _read_timed(path) if timed and name.endswith(timed) else _read(path)
    return tree


def identify(folder: Path, varies: tuple[str, ...], timed: tuple[str, ...]) -> str:
    """Return a hash of a folder in the midst of a command, which does the same in two folders of one hash."""
    found = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            content = os.readlink(path).encode()
        elif not path.is_file():
            content = b"/"
        elif name.endswith((".lock", ".npy")) or ".tfevents." in name or (varies and name.endswith(varies)):
            # Arrays are filled anew by every run, beside a thread that writes what they are filled with.
            content = path.read_bytes()[:1]
        elif name.endswith("ended.json"):
            # The hash of an output that says how long it took.
            content = _HASH.sub(b"", path.read_bytes())
        else:
            content = _read_timed(path) if timed and name.endswith(timed) else _read(path)
        found.append((_RANDOM.sub("", name), hashlib.sha256(content).hexdigest()))
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


def _read(path: Path) -> bytes:
    """Read a file; of an archive, hashes of its members without dates and addresses."""
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name not in _DATED]
        held = [_ADDRESS.sub(b"", archive.read(name)) for name in names]
    return repr([(name, hashlib.sha256(one).hexdigest()) for name, one in zip(names, held, strict=True)]).encode()


def _read_timed(path: Path) -> bytes:
    """Read a JSON file without what was measured; one that is torn, as it is."""
    try:
        return json.dumps(_without_measured(json.loads(path.read_bytes()))).encode()
    except ValueError:
        return path.read_bytes()


def _without_measured(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_measured(member) for member in value]
    if isinstance(value, dict):
        return {key: _without_measured(member) for key, member in value.items() if key not in _MEASURED}
    return value
