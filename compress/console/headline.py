"""A line above a command's result that says at a glance whether it is good, in colour where a terminal shows it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

from compress.printable import printable_name

Tone = Literal["good", "doubt", "alarm"]

EFFECT_TONES: Mapping[str, Tone] = {
    "works": "good",
    "uncertain": "doubt",
    "almost nothing": "alarm",
    "worse than nothing": "alarm",
}
"""Tones of the verdicts on a student's effect, as scores record them."""
_CODES: Mapping[Tone, int] = {"good": 32, "doubt": 33, "alarm": 31}


@dataclass(frozen=True, kw_only=True)
class Headline:
    """One line, and what it means for the reader."""

    text: str
    tone: Tone

    def paint(self, stream: TextIO) -> str:
        """Return the line as a stream shows it: bold and coloured on a terminal, unless NO_COLOR is set.

        Source: https://no-color.org for the variable.
        """
        line = printable_name(self.text)
        if not stream.isatty() or os.environ.get("NO_COLOR"):
            return line
        return f"\x1b[1;{_CODES[self.tone]}m{line}\x1b[0m"
