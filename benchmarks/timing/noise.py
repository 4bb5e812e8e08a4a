"""When a measured speed-up can be quoted: how far it may be off, and how much other work disturbed it."""

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


def speedup_of(ratios: Sequence[float]) -> dict[str, Any]:
    """Sum up a baseline's latency over a model's, round for round.

    Returns:
        `speedup`, the median, with its `speedup_range` and `noise` (see `ratio_noise`).
    """
    return {
        "speedup": median(ratios),
        "speedup_range": [min(ratios), max(ratios)],
        "noise": ratio_noise(ratios),
    }


def ratio_noise(ratios: Sequence[float]) -> float | None:
    """How far the median of ratios may be off: half of its 95 % interval, as a fraction.

    The interval is that between order statistics, which supposes nothing of how the ratios are distributed. Fewer than
    six have no such interval: all of their range is taken.

    Args:
        ratios: Of the rounds, above 0.

    Returns:
        0.05 where the ratio may be 5 % larger or smaller; None of a single round, which knows nothing of its noise.

    Source: Conover 1999, Practical Nonparametric Statistics, section 3.2.
    """
    if len(ratios) == 1:
        return None
    ordered, middle = sorted(ratios), median(ratios)
    cut = _cut_off(len(ordered))
    return max(ordered[-1 - cut] / middle, middle / ordered[cut]) - 1


def summed_up(values: Sequence[float]) -> dict[str, float]:
    """`min`, `median`, `p95` and `max` of what was measured round for round."""
    return {
        "min": min(values),
        "median": median(values),
        "p95": float(np.percentile(values, 95)),
        "max": max(values),
    }


def why_withheld(noise: float | None, *, waiting: float | None = None) -> str | None:
    """Say why a speed-up should not be quoted.

    Args:
        noise: From `ratio_noise`.
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


def seconds_waited() -> float | None:
    """How long the threads of this process have been ready to run but waited for a processor; None but on Linux."""
    try:
        return sum(map(waited_s_of, _TASKS.iterdir()))
    except (OSError, IndexError):
        return None


def waited_s_of(task: Path) -> float:
    """How long a thread has been ready to run but waited for a processor, seconds.

    Args:
        task: Its folder under `/proc`; a process's own is that of its main thread.

    Raises:
        OSError: Where the system has no such file.
        IndexError: Where it says less.
    """
    # Of the three numbers: on the processor, waiting for one, turns; the first two in nanoseconds.
    return int((task / "schedstat").read_text().split()[1]) / 1e9


def _cut_off(count: int) -> int:
    """How many values on each side lie outside of the 95 % interval between order statistics."""
    cut, below = -1, 1 / 2**count
    while below <= _TAIL:
        cut += 1
        below += comb(count, cut + 1) / 2**count
    return max(cut, 0)


def withheld_by_reason(entries: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Whose ratios are withheld, by why: other work disturbs all of a run alike, and is told once."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        if entry["withheld"]:
            names.setdefault(entry["withheld"], []).append(entry["name"])
    return names
