"""Chance in a training: how far trials lie apart that differ in nothing but their seeds."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from compress.fleet.choice import Candidate

_FEWEST = 2


@dataclass(frozen=True)
class SeedNoise:
    """Noise of KID on held-back photos over seeds."""

    deviation: float
    """Standard deviation within settings, pooled over them."""
    trials: int
    groups: int
    """Settings that were tried with several seeds."""


def measure_seed_noise(finished: Sequence[Candidate]) -> SeedNoise | None:
    """Measure how far equal settings lie apart; None where no two trials differ in nothing but their seeds."""
    groups: dict[str, list[float]] = {}
    for one in finished:
        if any(map(_is_seed, one.trial.settings)):
            settings = {key: value for key, value in one.trial.settings.items() if not _is_seed(key)}
            groups.setdefault(json.dumps(settings, sort_keys=True, default=str), []).append(one.kid)
    several = [kids for kids in groups.values() if len(kids) >= _FEWEST]
    if not several:
        return None
    squares = sum((kid - fmean(kids)) ** 2 for kids in several for kid in kids)
    trials = sum(map(len, several))
    return SeedNoise(math.sqrt(squares / (trials - len(several))), trials, len(several))


def _is_seed(key: str) -> bool:
    return key.rpartition(".")[2] == "seed"
