"""Words and numbers that the table on the terminal and the page share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from compress.fleet.trial import Outcome, Status, Trial

STATUS_WORDS: Mapping[Status, str] = {
    "finished": "finished",
    "stopped": "stopped",
    "over_budget": "over budget",
    "failed": "failed",
}


def name_columns(trials: Iterable[Trial]) -> dict[str, str]:
    """Return a short name for each key that trials vary: `width` for `distill.width`, where no other ends alike."""
    keys = list(dict.fromkeys(key for trial in trials for key in trial.settings))
    ends = Counter(key.rpartition(".")[2] for key in keys)
    return {key: end if ends[end := key.rpartition(".")[2]] == 1 else key for key in keys}


def format_setting(value: Any) -> str:
    """Format a value as people read it: no digits that nobody chose."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def describe_settings(trial: Trial, columns: Mapping[str, str]) -> str:
    """Describe what a trial varies in one line: `width 24, family unet`."""
    named = ((columns.get(key, key), value) for key, value in trial.settings.items())
    return ", ".join(f"{name} {format_setting(value)}" for name, value in named)


def format_seconds(seconds: float) -> str:
    """Format a duration: `48 s`, `12 min`, `3 h 20 min`."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def format_hours(seconds: float) -> str:
    """Format work as hours: `0.08`, `3.2`, `140`."""
    hours = seconds / 3600
    return f"{hours:.2f}" if hours < 1 else f"{hours:.1f}" if hours < 100 else f"{hours:.0f}"


def format_kid(outcome: Outcome) -> str:
    """Format a trial's KID on held-back photos with its spread: of the kept weights, else of the last measurement."""
    measured = find_kid(outcome)
    return "–" if measured is None else f"{measured[1]:.4f} ± {measured[2]:.4f}"


def find_kid(outcome: Outcome) -> tuple[int, float, float] | None:
    """Return step, KID and spread of the weights that were kept, else of the last measurement; None without any."""
    kept = [one for one in outcome.held_back if one[0] == outcome.kept_step]
    return (kept or list(outcome.held_back) or [None])[-1]


def count_statuses(outcomes: Sequence[Outcome]) -> str:
    """Return how many trials ended how: `9 finished, 2 stopped, 1 failed`."""
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{counts[status]} {words}" for status, words in STATUS_WORDS.items() if counts[status])
