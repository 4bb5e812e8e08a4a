"""Reader of CelebA's attribute list, as its authors and as Kaggle publish it."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from compress.errors import UnusableData, UsageError

_QUOTED_CHARACTERS = 80
"""Most characters of a bad line that an error quotes."""


@dataclass(frozen=True)
class AttributeList:
    """Attributes of images: a table of which attribute holds for which image."""

    path: Path
    names: tuple[str, ...]
    """Names of the attributes."""
    images: tuple[str, ...]
    """File names, in the list's order."""
    holds: np.ndarray
    """`(images, names)` bool."""

    def where(self, flag: str, conditions: Sequence[str]) -> np.ndarray:
        """Mark the images for which conditions hold.

        Args:
            flag: Flag that the conditions came from, for the error: `--drop`.
            conditions: Each `Male` or `!Male`.

        Returns:
            `(conditions, images)` bool.

        Raises:
            UsageError: If the list has no such attribute, naming those that are spelled like it, and all.
        """
        marks = np.empty((len(conditions), len(self.images)), dtype=bool)
        for row, condition in enumerate(conditions):
            name = condition.removeprefix("!")
            if name not in self.names:
                raise UsageError(
                    f"{flag} {condition}: {self.path.name} has no attribute {name!r}.{self._near(name)} A flag takes "
                    f"one attribute and may be repeated. Expected one of {', '.join(self.names)}."
                )
            marks[row] = self.holds[:, self.names.index(name)] != condition.startswith("!")
        return marks

    def _near(self, name: str) -> str:
        spelled = {known.lower(): known for known in self.names}
        near = [spelled[match] for match in difflib.get_close_matches(name.lower(), spelled)]
        return f" Did you mean {' or '.join(near)}?" if near else ""


def read_attributes(path: Path) -> AttributeList:
    """Read an attribute list; its format is detected by its content.

    The official `list_attr_celeba.txt` has the number of images, then the attributes' names, then a line an image with
    its name and -1 or 1 for each attribute. Kaggle's `list_attr_celeba.csv` has a header `image_id,5_o_Clock_Shadow,…`
    and no number; some copies of it have 0 for -1, which is accepted.

    Raises:
        UnusableData: If the file is missing, of neither kind, torn, or has a bad line, naming the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableData(f"{path} cannot be read as an attribute list: {error}") from error
    first = lines[0] if lines else ""
    if first.strip().isdecimal():
        names = lines[1].split() if len(lines) > 1 else []
        found = _read_rows(path, names, lines, head=2, separator=None, values=("-1", "1"))
        if len(found.images) != int(first):
            raise UnusableData(
                f"{path}: line 1 promises {int(first)} images, {len(found.images)} follow. Download it anew."
            )
        return found
    if "," in first:
        return _read_rows(path, first.split(",")[1:], lines, head=1, separator=",", values=("-1", "0", "1"))
    raise _bad_line(
        path, 1, repr(first), "the number of images, as in list_attr_celeba.txt, or image_id and the attributes"
    )


def _read_rows(
    path: Path, names: Sequence[str], lines: Sequence[str], *, head: int, separator: str | None, values: Sequence[str]
) -> AttributeList:
    line_of: dict[str, int] = {}
    rows: list[list[bool]] = []
    listed: list[str] = []
    for number, line in enumerate(lines[head:], start=head + 1):
        name, *cells = line.split(separator) or [""]
        if len(cells) != len(names):
            raise _bad_line(path, number, f"{name!r} and {len(cells)} values", f"an image and {len(names)} values")
        if not set(values).issuperset(cells):
            attribute, cell = next(pair for pair in zip(names, cells, strict=True) if pair[1] not in values)
            raise _bad_line(path, number, f"{attribute} = {cell!r}", f"one of {', '.join(values)}")
        # By stem, which is what an image keeps of its name.
        first = line_of.setdefault(PurePath(name).stem, number)
        if first != number:
            raise _bad_line(path, number, repr(name), f"each image once; line {first} has it already")
        listed.append(name)
        rows.append([cell == "1" for cell in cells])
    if not rows:
        raise UnusableData(f"{path} names no image; expected a line for each after the attributes' names.")
    return AttributeList(path, tuple(names), tuple(listed), np.array(rows, dtype=bool))


def _bad_line(path: Path, number: int, found: str, expected: str) -> UnusableData:
    quoted = found if len(found) <= _QUOTED_CHARACTERS else f"{found[:_QUOTED_CHARACTERS]}…"
    return UnusableData(f"{path}, line {number}: found {quoted}, expected {expected}.")
