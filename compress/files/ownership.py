"""Ownership of what lies at an output's place: `--overwrite` replaces what this tool wrote, and nothing else.

A folder is ours by a marker file in it; a file by what its format lets a writer say, since a marker beside it would be
lost when it is moved.
"""

import json
import os
import struct
import zipfile
from pathlib import Path

from compress.artifact import MANIFEST_NAME, MODEL_NAMES, file_fingerprint, is_left_by_system
from compress.strict_json import SEAL

MARKER = ".pocketgan"
"""Name of the file that marks a folder as written by this tool."""
GENERATOR = "PocketGAN"
"""Name under which this tool signs files: HTML's `generator`, PNG's `Software`, MP4's comment."""
CARD_SIGNATURE = f"<!-- generator: {GENERATOR} -->"
"""Line of a Markdown file that says who wrote it."""
DETAIL_SIGNATURE = f"{GENERATOR} detail"
"""Beginning of the description of a `.tflite` file that `compress export detail` wrote; a student's has another."""
_SIGNATURES = {
    ".md": CARD_SIGNATURE.encode(),
    ".html": f'<meta name="generator" content="{GENERATOR}">'.encode(),
    ".tflite": DETAIL_SIGNATURE.encode(),
    ".png": f"Software\0{GENERATOR}".encode(),
}
_UNSEALED = ({"schema", "key", "distances"}, {"schema", "kind", "models"})
"""Keys of the records that were written before there were content hashes: baselines of scores and of speed."""
_OF_ARTIFACTS = frozenset(
    {MANIFEST_NAME, *MODEL_NAMES.values(), "samples.png", "training.json", "sensitivity.json"}
    | {"sensitivity.png", "model_card.md"}
)
"""What artifacts hold."""
_LARGEST_READ_BYTES = 64 << 20
_BOX_HEAD = struct.Struct(">I4s")
"""A box of an MP4 file begins with its size, this head counted, and its kind."""


def mark_folder(folder: Path) -> None:
    """Mark a folder as written by this tool, with what it holds by now."""
    members = [name for name in _list_members(folder) if name != MARKER]
    (folder / MARKER).write_text(json.dumps({"written_by": GENERATOR, "members": members}) + "\n", encoding="utf-8")


def find_foreign(path: Path) -> list[str]:
    """Find what was put into a folder of this tool after it was written: relative paths, sorted."""
    members = _read_members(path)
    if members is None:
        return []
    known = {MARKER, *members}
    return [name for name in _list_members(path) if name not in known and not is_left_by_system(Path(name).name)]


def fingerprint_written(path: Path) -> str:
    """Return the `file_fingerprint` of what this tool wrote at a path, without what was put into its folder since."""
    members = _read_members(path)
    return file_fingerprint(path, None if members is None else [path / name for name in {MARKER, *members}])


def _read_members(folder: Path) -> list[str] | None:
    """Read what a folder held when it was marked, or find what is an artifact's; None where nothing says so."""
    marker = _read_json(folder / MARKER)
    if not isinstance(marker, dict) or not isinstance(marker.get("members"), list):
        is_copy = not (folder / MARKER).exists() and _is_unmarked_artifact(folder)
        return [name for name in _list_members(folder) if Path(name).parts[0] in _OF_ARTIFACTS] if is_copy else None
    return [name for name in map(str, marker["members"]) if not {"..", "/"} & set(Path(name).parts)]


def _list_members(folder: Path) -> list[str]:
    """List all that lies below a folder but folders themselves, links to folders among it: relative paths, sorted."""
    found = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        found += [Path(place, name).relative_to(folder).as_posix() for name in (*files, *links)]
    return sorted(found)


def is_empty(folder: Path) -> bool:
    """Check that a folder holds nothing but what systems leave there."""
    return all(is_left_by_system(path.name) for path in folder.iterdir())


def is_ours(path: Path) -> bool:
    """Check whether this tool wrote a folder or a file.

    Args:
        path: An existing one. Empty folders and files belong to nobody, so they count as ours.
    """
    if path.is_dir():
        return (path / MARKER).is_file() or _is_unmarked_artifact(path) or is_empty(path)
    if not path.is_file():
        return False
    if path.suffix.lower() == ".mp4":
        return _film_says_so(path)
    size = path.stat().st_size
    return size == 0 or (size <= _LARGEST_READ_BYTES and _says_so(path))


def _is_unmarked_artifact(folder: Path) -> bool:
    """Check for a manifest: artifacts of before there were markers, or copied without their hidden file."""
    record = _read_json(folder / MANIFEST_NAME)
    return isinstance(record, dict) and {"schema", "stage", "format", "cost"} <= set(record)


def _says_so(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".json":
        record = _read_json(path)
        return isinstance(record, dict) and (SEAL in record or any(known <= set(record) for known in _UNSEALED))
    if suffix in (".keras", ".h5"):
        return _is_packed(path)
    signature = _SIGNATURES.get(suffix)
    return signature is not None and signature in path.read_bytes()[: 1 << 16]


def _film_says_so(path: Path) -> bool:
    """Check what the index of an MP4 file says, which lies behind the pictures, however large they are."""
    left = path.stat().st_size
    with path.open("rb") as stream:
        while left >= _BOX_HEAD.size:
            size, kind = _BOX_HEAD.unpack(stream.read(_BOX_HEAD.size))
            # A size of 1 says that it follows in 64 bits, where it did not fit.
            read = _BOX_HEAD.size
            if size == 1 and left >= 16:
                size, read = int.from_bytes(stream.read(8)), 16
            if not read <= size <= left:
                return False
            if kind == b"moov":
                return size <= _LARGEST_READ_BYTES and GENERATOR.encode() in stream.read(size - read)
            stream.seek(size - read, os.SEEK_CUR)
            left -= size
    return path.stat().st_size == 0


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
        return MANIFEST_NAME in archive.namelist()
