"""Sweeps' folders made by hand: what a sweep of some minutes leaves, in milliseconds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.files.atomic import replace_text
from compress.fleet.trial import SWEEP, Inputs, Outcome, Trial, write_asked, write_outcome

Ended = tuple[Trial, Outcome | None]


def _ended(number: int, status: str | None = "finished", **changed: Any) -> Ended:
    """Return a trial and how it ended; a finished one has a KID of 0.05 and 50,000 bytes where nothing is said."""
    kid, spread = changed.pop("kid", 0.05), changed.pop("spread", 0.004)
    settings = changed.pop("settings", {"distill.width": 8 * (number + 1)})
    lines = [f"width = {8 * (number + 1)}", "image_size_px = 64"]
    trial = Trial(number=number, key=f"{number:012x}", settings=settings, recipe="\n".join(["[distill]", *lines, ""]))
    if status is None:
        return trial, None
    is_trained = status in ("finished", "stopped")
    usual: dict[str, Any] = {
        "status": status,
        "reason": None if status == "finished" else f"why it is {status}",
        "attempts": 0 if status == "over_budget" else 1,
        "seconds": 60.0 if is_trained else 0.0,
        "node": "127.0.0.2" if is_trained else None,
        "macs": 4_000_000,
        "size_bytes": 50_000,
        "held_back": ((100, kid + 0.02, spread), (200, kid, spread)) if is_trained else (),
        "kept_step": 200 if status == "finished" else None,
    }
    return trial, Outcome(**{**usual, **changed})


@pytest.fixture
def ended() -> Callable[..., Ended]:
    """A trial by its number, and how it ended: `ended(3, "failed", reason="…")`."""
    return _ended


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """Write the folder of a sweep that holds given trials, without their runs."""

    def write(trials: Sequence[Ended], *, budget: str = "") -> Path:
        folder = tmp_path / "sweep"
        replace_text(folder / SWEEP, f'recipe = "demo"\ndata = "photos"\n{budget}')
        write_asked(folder, Inputs(data=str(tmp_path / "photos"), teacher=None), [trial for trial, _ in trials])
        for trial, outcome in trials:
            if outcome is not None:
                write_outcome(folder, trial.key, outcome)
        return folder

    return write
