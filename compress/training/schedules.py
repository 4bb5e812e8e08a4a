"""Learning-rate schedules: the learning rate as a function of the step."""

import math
from collections.abc import Callable

Schedule = Callable[[int], float]
"""Returns the learning rate of a step, counted from 0."""
FINAL_LEARNING_RATE_SHARE = 0.01


def warmup_cosine(peak: float, *, steps: int, warmup_steps: int) -> Schedule:
    """Return a schedule of linear warm-up to the peak, then a cosine down to a hundredth of it.

    Args:
        peak: The highest learning rate.
        steps: Steps of the whole training.
        warmup_steps: Steps of the warm-up; at most half of `steps` are used.

    Source: Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983, without restarts.
    """
    warmup = min(warmup_steps, steps // 2)

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
        return peak * (FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine)

    return rate


def constant_then_linear(peak: float, *, steps: int, decay_steps: int) -> Schedule:
    """Return a schedule that stays at the peak, then falls linearly and would reach 0 one step after the end.

    Args:
        peak: The learning rate at the start.
        steps: Steps of the whole training.
        decay_steps: Last steps, over which the rate falls; 0 keeps it constant.

    Source: Zhu et al. 2017, Unpaired Image-to-Image Translation, arXiv:1703.10593, section 7.1.
    """
    return lambda step: peak * min(1.0, (steps - step) / max(1, decay_steps))
