"""A folder of photos: which of its files are read, and what else lies in it, counted by kind and said.

A photo that is left out without a word changes what is learnt and what is scored. So what is not read is named, and if
it is more than a hundredth of the photos, the folder is refused.
"""

import logging
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compress.errors import UnusableData
from compress.files.remote import explain_remote, is_remote
from compress.images.formats import FORMATS, HEAD_BYTES, OTHER, Format, format_of_content, format_of_name
from compress.printable import printable_name

LEFT_OUT_TOLERANCE = 0.01
"""Share of a folder's photos that may be left out, each kind named in the log; more is an error."""

_NAMED = 3
_NO_FOLDERS_OF_PHOTOS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
_OF_THE_SYSTEM = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_OURS = frozenset({"translation.json", "flicker.json", "note.json"})
"""What `compress translate`, `compress eval perturb` and `compress data` write beside pictures; in lower case."""

_log = logging.getLogger(__name__)
_said: set[str] = set()
"""What was said: most folders are listed several times by a command."""


@dataclass
class _Leftovers:
    """Names of what is not read, by what it is and what to do about it."""

    photos: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    other: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """What is no photo."""


def list_images(folder: Path) -> list[Path]:
    """List the photos of a folder, sorted by name: files with any photo's suffix, or none, of a format that is read.

    What a system puts there is passed over: hidden files, as macOS puts `._x.jpg` beside x.jpg, `Thumbs.db` and the
    like. All else that is not read is said, by kind, with its number. A file that has a photo's suffix and not its
    content is listed: reading it says what is wrong.

    Raises:
        UnusableData: If the folder is missing or holds no photo, or more than `LEFT_OUT_TOLERANCE` of its photos,
            those in its sub-folders among them, would be left out.
    """
    if is_remote(folder):
        raise UnusableData(explain_remote(folder))
    if not folder.is_dir():
        raise UnusableData(f"{folder} is no folder; expected one with {_join(read_formats())} images.")
    left = _Leftovers()
    with os.scandir(folder) as entries:
        found = sorted(Path(entry.path) for entry in entries if _is_taken(entry, left))
    lost = sum(map(len, left.photos.values()))
    if lost > LEFT_OUT_TOLERANCE * (len(found) + lost):
        raise UnusableData(_too_many_left_out(folder, left, len(found), lost))
    if not found:
        held = "".join(f"\n  {line}" for line in _lines(left.other))
        raise UnusableData(f"{folder} holds no image; expected {_join(read_formats())} files.{held}")
    _say(folder, left)
    return found


def require_distinct_stems(paths: Iterable[Path]) -> None:
    """Check that the photos of each folder can be told apart without their suffixes, as what is made of them is named.

    Raises:
        UnusableData: If two of one folder cannot, naming them.
    """
    by_stem: Mapping[tuple[Path, str], list[Path]] = defaultdict(list)
    for path in paths:
        by_stem[path.parent, path.stem].append(path)
    shared = [same for same in by_stem.values() if len(same) > 1]
    if shared:
        first, *others = shared
        more = f" So do {len(others)} more stems." if others else ""
        raise UnusableData(
            f"{_join([str(path) for path in first])} share a stem: what is made of each would be named "
            f"{first[0].stem}.png.{more} Rename or remove all but one of each."
        )


def read_formats() -> list[str]:
    """Return the names of the formats that are read here."""
    return [one.name for one in FORMATS if one.is_read]


def _is_taken(entry: "os.DirEntry[str]", left: _Leftovers) -> bool:
    """Decide on an entry of a folder; note it among what is left out unless it is taken, or nobody's photo."""
    path = Path(entry.path)
    if entry.name.startswith(".") or entry.name.lower() in _OF_THE_SYSTEM | _OURS:
        if entry.name.endswith(".icloud"):
            left.photos["photo(s) that are in iCloud alone", "download them"].append(entry.name)
        return False
    if entry.is_dir():
        _note_folder(path, left)
        return False
    promised = format_of_name(path)
    found = _format_of(path)
    if isinstance(found, tuple):
        (left.photos if promised else left.other)[found].append(entry.name)
    elif (known := found or promised) is None:
        left.other[_other_files(path), "not read as photos"].append(entry.name)
    elif not known.is_read:
        left.photos[_files_of(known, path), known.remedy].append(entry.name)
    elif promised is None and path.suffix:
        left.photos[f"{known.name} file(s) without a photo's suffix", "rename them, or move them away"].append(
            entry.name
        )
    else:
        return True
    return False


def _format_of(path: Path) -> Format | tuple[str, str] | None:
    """Return the format of a file's content, None for none of a photo; or what it is instead, and what to do."""
    try:
        # Opening a pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            return "pipe(s), socket(s) or device(s)", "move them away"
        with path.open("rb", buffering=0) as stream:
            return format_of_content(stream.read(HEAD_BYTES), path)
    except FileNotFoundError:
        return "link(s) to what is not there", "copy the photos here"
    except OSError as error:
        return f"file(s) that cannot be opened ({error.strerror})", "allow it"


def _note_folder(path: Path, left: _Leftovers) -> None:
    if path.name in _NO_FOLDERS_OF_PHOTOS:
        return
    photos = [
        Path(place, name).relative_to(path.parent).as_posix()
        for place, _, names in os.walk(path)
        for name in sorted(names)
        if not name.startswith(".") and format_of_name(Path(name))
    ]
    if photos:
        left.photos["photo(s) in sub-folders, which are not searched", "move them up, or away"] += photos
    else:
        left.other["sub-folder(s) without photos", "not searched"].append(path.name)


def _files_of(unread: Format, path: Path) -> str:
    return f"{unread.name if unread is not OTHER else f'*{path.suffix.lower()}'} file(s), which are not read here"


def _other_files(path: Path) -> str:
    return f"*{path.suffix.lower()} file(s)" if path.suffix else "file(s) without a suffix"


def _too_many_left_out(folder: Path, left: _Leftovers, found: int, lost: int) -> str:
    lines = "\n".join(f"  {line}" for line in _lines(left.photos))
    return (
        f"{lost} of {found + lost} photos in {folder} would be left out, more than the {LEFT_OUT_TOLERANCE:.0%} that "
        f"may be:\n{lines}\nWhat is read are {_join(read_formats())} files that lie in the folder itself."
    )


def _say(folder: Path, left: _Leftovers) -> None:
    for level, kinds in ((logging.WARNING, left.photos), (logging.INFO, left.other)):
        for line in _lines(kinds):
            if (said := f"left out of {folder}: {line}") not in _said:
                _said.add(said)
                _log.log(level, "%s", said)


def _lines(kinds: Mapping[tuple[str, str], Sequence[str]]) -> list[str]:
    return [f"{len(names)} {what}: {_first_few(names)}; {remedy}" for (what, remedy), names in kinds.items()]


def _first_few(names: Sequence[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(map(printable_name, ordered[:_NAMED])) + more


def _join(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
