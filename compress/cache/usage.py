"""What lies in the user's cache, and less of it: nothing but what this tool put there is counted or deleted."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.artifact import user_cache
from compress.cache.store import is_unfinished
from compress.text_table import format_columns

_KINDS: Mapping[str, str] = {
    "teacher_images": r"[0-9a-f]{64}\.png",
    "litertjs": r".+\.tgz",
    "precision": r"[0-9a-f]{64}\.json",
}
"""Folders of the cache, and the names of the files in them. Features lie where `--cache` says, or in their run."""
_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Entry:
    """A kept file."""

    path: Path
    size_bytes: int
    used: float
    """When it was last used, in seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class FolderUsage:
    """What a folder of the cache takes."""

    folder: str
    files: int
    size_bytes: int
    used_days_ago: float
    """Days since anything in it was used."""
    oldest_days_ago: float
    """Days since its least used file was used."""


def list_entries(root: Path) -> list[Entry]:
    """List what this tool put into a cache, the longest unused first; links are not followed."""
    found = [entry for kind, pattern in _KINDS.items() for entry in _entries(root / kind, re.compile(pattern))]
    return sorted(found, key=lambda entry: (entry.used, entry.path))


def measure_usage(root: Path) -> list[FolderUsage]:
    """Measure each folder of a cache that holds something."""
    folders: dict[Path, list[Entry]] = {}
    for entry in list_entries(root):
        folders.setdefault(entry.path.parent, []).append(entry)
    now = time.time()
    return [
        FolderUsage(
            folder=folder.relative_to(root).as_posix(),
            files=len(entries),
            size_bytes=sum(entry.size_bytes for entry in entries),
            used_days_ago=round(max(0.0, now - max(entry.used for entry in entries)) / _DAY_S, 2),
            oldest_days_ago=round(max(0.0, now - min(entry.used for entry in entries)) / _DAY_S, 2),
        )
        for folder, entries in sorted(folders.items())
    ]


def shrink(root: Path, max_bytes: int) -> tuple[int, int]:
    """Delete the longest unused files of a cache until the others take no more than `max_bytes`.

    Returns:
        How many were deleted, and their bytes.
    """
    entries = list_entries(root)
    excess = sum(entry.size_bytes for entry in entries) - max_bytes
    deleted = freed = 0
    for entry in entries:
        if freed >= excess:
            break
        entry.path.unlink(missing_ok=True)
        deleted, freed = deleted + 1, freed + entry.size_bytes
    for kind in _KINDS:
        _remove_empty_folders(root / kind)
    return deleted, freed


def tend_cache(*, max_bytes: int | None, clear: bool) -> dict[str, Any]:
    """Bound or clear the user's cache where that is asked for, and tell what is left.

    Returns:
        JSON-ready: `cache` (its folder), `size_bytes`, `deleted_files`, `freed_bytes`, and `folders`, each as
        `FolderUsage`.
    """
    root = user_cache()
    limit = 0 if clear else max_bytes
    deleted, freed = (0, 0) if limit is None else shrink(root, limit)
    folders = measure_usage(root)
    return {
        "cache": str(root),
        "size_bytes": sum(each.size_bytes for each in folders),
        "deleted_files": deleted,
        "freed_bytes": freed,
        "folders": [vars(each) for each in folders],
    }


def format_usage(record: Mapping[str, Any]) -> str:
    """Format what `tend_cache` tells, for people."""
    rows: list[tuple[str, ...]] = [("folder", "files", "size", "last used", "oldest")]
    for each in record["folders"]:
        ages = (f"{each[name]:.1f} days ago" for name in ("used_days_ago", "oldest_days_ago"))
        rows.append((each["folder"], str(each["files"]), f"{each['size_bytes'] / 1e6:.1f} MB", *ages))
    lines = format_columns(rows, align="right") if record["folders"] else []
    if record["deleted_files"]:
        lines.append(f"deleted {record['deleted_files']} files, {record['freed_bytes'] / 1e6:.1f} MB")
    return "\n".join([*lines, f"{record['cache']}: {record['size_bytes'] / 1e6:.1f} MB"])


def _entries(folder: Path, pattern: re.Pattern[str]) -> Iterator[Entry]:
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _entries(path, pattern)
        elif not path.is_symlink() and (pattern.fullmatch(path.name) or is_unfinished(path.name)):
            status = path.stat()
            yield Entry(path, status.st_size, max(status.st_atime, status.st_mtime))


def _remove_empty_folders(folder: Path) -> None:
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if path.is_dir():
            _remove_empty_folders(path)
    try:
        folder.rmdir()
    # Somebody else's files are in it, or a run has just put one there.
    except OSError:
        return
