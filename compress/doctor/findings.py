"""Findings of `compress doctor`: what was looked at, how it is, and what that means."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "note"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    """Heading that it stands under."""
    name: str
    status: Status
    """Whether it is as it should be, is missing, or is neither good nor bad."""
    found: str
    means: str = ""
    """What it lets the user do, or what to do about it."""


def format_size(count: float) -> str:
    """Format bytes as GB, MB or kB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"
