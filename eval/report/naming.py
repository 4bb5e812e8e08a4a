"""Names of models: flags, files and folders call one model by several, and each model has one row."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from compress.errors import UsageError

TEACHER = "teacher"
"""Name of the teacher's row."""
INPUT = "photo"
"""Name of the picture of the untouched photo."""
CONTROL = "untouched photos"
"""Name of the row of the control: what doing nothing gets."""

_CONTROL_NAMES = ("input", "inputs", "photo", "photos", "control", "untouched inputs", "untouched")
_FILE_SUFFIX = re.compile(r"\.(tflite|mlpackage|keras|h5|pth)$")


class ModelNames:
    """The rows of a table, and every name that leads to one of them.

    Args:
        columns: Names that the user gave to students, of which each is a row.

    Raises:
        UsageError: If two of them differ in nothing but case and separators, or one is the teacher's.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._rows = {_plain(TEACHER): TEACHER, **{_plain(name): CONTROL for name in (CONTROL, *_CONTROL_NAMES)}}
        for name in columns:
            if (taken := self._rows.setdefault(_plain(name), name)) != name or name in (TEACHER, CONTROL):
                raise UsageError(f"--column {name!r} and {taken!r} would be one row; give the student another name.")

    def learn(self, aliases: Mapping[str, Iterable[str]]) -> None:
        """Learn further names of rows; one that several rows could have tells nothing."""
        plain = {row: {_plain(one) for one in names if one} for row, names in aliases.items()}
        counts = Counter(one for names in plain.values() for one in names)
        for row, names in plain.items():
            for one in names:
                if counts[one] == 1:
                    self._rows.setdefault(one, row)

    def assign(self, aliases: Mapping[str, Iterable[str]]) -> dict[str, str]:
        """Return the row of each of several models by the name that its flag or file gives it.

        Args:
            aliases: Further names of each, taken where its own leads to no row and theirs to one that is free.
        """
        known = {name: row for name in aliases if (row := self._rows.get(_plain(name)))}
        rows = {row: name for name, row in reversed(known.items())}
        for name, others in aliases.items():
            if rows.get(known.get(name, "")) == name:
                continue
            found = [self._rows[_plain(one)] for one in others if _plain(one) in self._rows]
            free = [row for row in found if row not in rows and row != CONTROL]
            rows.setdefault(free[0] if free and name not in known else name, name)
        return {name: row for row, name in rows.items()}


def _plain(name: str) -> str:
    """Return a name without what differs between spellings: case, separators, the suffix of a model's file."""
    return re.sub(r"[\s_.-]+", " ", _FILE_SUFFIX.sub("", name.strip().casefold())).strip()
