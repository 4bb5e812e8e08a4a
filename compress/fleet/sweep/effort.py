"""Effort that went into a trial so far; the driver keeps it, so that another driver goes on counting."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from compress.files.atomic import replace_text
from compress.fleet.sweep.attempt import read_sign, remove_sign
from compress.fleet.trial import trial_folder
from compress.strict_json import load_json, parse_record

MOST_LOST = 3
"""Times that a trial is tried again whose node or worker was lost."""
_EFFORT = "effort.json"


@dataclass(frozen=True)
class Effort:
    """What a trial took."""

    lost: int = 0
    """Attempts whose worker or node was lost."""
    has_halved: bool = False
    """Whether its batch was halved for want of memory."""
    seconds: float = 0.0
    """Of all attempts."""
    node: str | None = None
    """Address of the last one's node."""

    @property
    def attempts(self) -> int:
        """Attempts; pauses and killed drivers do not count as such."""
        return 1 + self.lost + self.has_halved


def read_effort(sweep_dir: Path, key: str) -> Effort:
    """Read the effort up to now, that of an attempt in progress or killed with it."""
    try:
        effort = parse_record(load_json(trial_folder(sweep_dir, key) / _EFFORT), Effort)
    except (OSError, ValueError):
        effort = Effort()
    sign = read_sign(sweep_dir, key)
    return effort if sign is None else replace(effort, seconds=effort.seconds + sign.seconds, node=sign.node)


def write_effort(sweep_dir: Path, key: str, effort: Effort) -> None:
    """Write down the effort, once no attempt is in progress."""
    replace_text(trial_folder(sweep_dir, key) / _EFFORT, json.dumps(asdict(effort)) + "\n")
    remove_sign(sweep_dir, key)
