"""Successive halving: at each rung, the trainings of the lowest KID go on, and the others stop for good.

A rung is decided once every training that may reach it has: which worker was faster, or died, changes no decision.
(ASHA decides about each as it comes, and another order of arrival would be another sweep.) Workers do not wait for it:
a training pauses at a rung, and goes on from its checkpoint where it is chosen.

Source: Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification, arXiv:1502.07943; Li et al. 2018, A System
for Massively Parallel Hyperparameter Tuning, arXiv:1810.05934.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from compress.fleet.sweep.spec import HalvingConfig


def rungs(halving: HalvingConfig | None, lengths: Iterable[int]) -> list[int]:
    """Return the steps of the rungs, below the longest training's end.

    Args:
        halving: None for no rungs.
        lengths: Steps of each training.
    """
    if halving is None:
        return []
    end, found, step = max(lengths, default=0), [], halving.first_step
    while step < end:
        found.append(step)
        step *= halving.reduction
    return found


def rank(measured: Mapping[str, float], asked: Sequence[str], reduction: int) -> dict[str, tuple[int, int]]:
    """Return those that stop at a rung, each with its rank from 1 and how many go on.

    Args:
        measured: Key to KID of all that were ever measured there, in the order of their numbers, which parts equals.
        asked: Those to decide about; others were decided about before.
        reduction: One in so many goes on.
    """
    ordered = sorted(measured, key=lambda key: measured[key])
    going_on = math.ceil(len(ordered) / reduction)
    places = {key: place for place, key in enumerate(ordered, start=1)}
    return {key: (places[key], going_on) for key in asked if places.get(key, 0) > going_on}
