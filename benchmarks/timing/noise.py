"""Noise of measured speed-ups, and the reasons not to quote one."""

from collections.abc import Iterable, Mapping, Sequence
from math import comb
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

MAX_NOISE = 0.1
"""Largest noise of a speed-up that is quoted. Between two measurements at this bound, `bench check`
still fails a slowdown of 20 %."""
MAX_WAITING = 0.1
"""Largest share of its time that a benchmark may wait for a processor. Waiting does not show in the noise: a model of
1 ms slips through between two turns of the scheduler, one of 30 ms never does. Measured on two busy cores, where a
benchmark waited 85 % of its time: two models came out 157 times apart, give or take 8 %; they are 30 times apart."""
_TAIL = 0.025
_TASKS = Path("/proc/self/task")


def summarize_speedup(ratios: Sequence[float]) -> dict[str, Any]:
    """Summarize the ratios of a baseline's latency to a model's, round for round.

    Returns:
        `speedup`, the median, with its `speedup_range` and `noise` (see `median_noise`).
    """
    return {
        "speedup": median(ratios),
        "speedup_range": [min(ratios), max(ratios)],
        "noise": median_noise(ratios),
    }


def median_noise(ratios: Sequence[float]) -> float | None:
    """Return how far the median of ratios may be off: half of its 95 % interval, as a fraction.

    The interval is that between order statistics, which supposes nothing of how the ratios are distributed. Fewer than
    six have no such interval: all of their range is taken.

    Args:
        ratios: One of each round, above 0.

    Returns:
        0.05 where the ratio may be 5 % larger or smaller; None of a single round, which knows nothing of its noise.

    Source: Conover 1999, Practical Nonparametric Statistics, section 3.2.
    """
    if len(ratios) == 1:
        return None
    ordered, middle = sorted(ratios), median(ratios)
    cut = _cut_off(len(ordered))
    return max(ordered[-1 - cut] / middle, middle / ordered[cut]) - 1


def summarize_values(values: Sequence[float]) -> dict[str, float]:
    """Return `min`, `median`, `p95` and `max` of the values of all rounds."""
    return {
        "min": min(values),
        "median": median(values),
        "p95": float(np.percentile(values, 95)),
        "max": max(values),
    }


def withheld_reason(noise: float | None, *, waiting: float | None = None) -> str | None:
    """Return why a speed-up should not be quoted.

    Args:
        noise: From `median_noise`.
        waiting: Share of the benchmark's time, where it is known.

    Returns:
        A reason, or None where there is none.
    """
    if waiting is not None and waiting > MAX_WAITING:
        return f"other work held the processor for {waiting:.0%} of the time, at most {MAX_WAITING:.0%} is allowed"
    if noise is None:
        return "one round says nothing of its own noise"
    if noise > MAX_NOISE:
        return f"the ratio may be off by {noise:.0%}, at most {MAX_NOISE:.0%} is allowed"
    return None


def sum_waited_s() -> float | None:
    """Return the seconds that this process's threads waited for a processor, ready to run; None but on Linux."""
    try:
        return sum(map(read_waited_s, _TASKS.iterdir()))
    except (OSError, IndexError):
        return None


def read_waited_s(task: Path) -> float:
    """Return the seconds that a thread waited for a processor, ready to run.

    Args:
        task: Its folder under `/proc`; a process's own is that of its main thread.

    Raises:
        OSError: If the system has no such file.
        IndexError: If the file holds fewer numbers.
    """
    # Of the three numbers: on the processor, waiting for one, turns; the first two in nanoseconds.
    return int((task / "schedstat").read_text().split()[1]) / 1e9


def _cut_off(count: int) -> int:
    """Return how many values on each side lie outside of the 95 % interval between order statistics."""
    cut, below = -1, 1 / 2**count
    while below <= _TAIL:
        cut += 1
        below += comb(count, cut + 1) / 2**count
    return max(cut, 0)


def group_withheld(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the names of withheld ratios by reason: other work disturbs all of a run alike, and is named once."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry["withheld"]:
            names.setdefault(entry["withheld"], []).append(entry["name"])
    return names
