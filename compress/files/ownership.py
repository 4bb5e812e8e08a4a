"""Ownership of what lies at an output's place: `--overwrite` replaces what this tool wrote, and nothing else.

A folder is ours by a marker file in it; a file by what its format lets a writer say, since a marker beside it would be
lost when it is moved.
"""

import json
import zipfile
from pathlib import Path

from compress.strict_json import SEAL

MARKER = ".pocketgan"
"""Name of the file that marks a folder as written by this tool."""
GENERATOR = "PocketGAN"
"""Name under which this tool signs files: HTML's `generator`, PNG's `Software`."""
_MARKER_TEXT = "PocketGAN wrote this folder. `--overwrite` replaces folders that hold this file, and no others.\n"
_LARGEST_READ_BYTES = 64 << 20


def mark_folder(folder: Path) -> None:
    """Mark a folder as written by this tool."""
    (folder / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")


def is_ours(path: Path) -> bool:
    """Check whether this tool wrote a folder or a file.

    Args:
        path: An existing one. Empty folders and files belong to nobody, so they count as ours.
    """
    if path.is_dir():
        return (path / MARKER).is_file() or _is_unmarked_artifact(path) or not any(path.iterdir())
    if not path.is_file():
        return False
    size = path.stat().st_size
    return size == 0 or (size <= _LARGEST_READ_BYTES and _says_so(path))


def _is_unmarked_artifact(folder: Path) -> bool:
    """Check for a manifest: artifacts of before there were markers."""
    record = _read_json(folder / "manifest.json")
    return isinstance(record, dict) and {"schema", "stage", "format", "cost"} <= set(record)


def _says_so(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".json":
        record = _read_json(path)
        # Baselines of before there were hashes have a schema.
        return isinstance(record, dict) and (SEAL in record or "schema" in record)
    if suffix in (".keras", ".h5"):
        return _is_packed(path)
    head = path.read_bytes()[: 1 << 16]
    return suffix in (".html", ".png", ".svg") and GENERATOR.encode() in head


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_packed(path: Path) -> bool:
    """Check for a student that `compress export keras` packed: its manifest lies in the archive."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "manifest.json" in archive.namelist()
