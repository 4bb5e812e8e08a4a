"""Proposals of a sweep: every combination, some drawn at random, or what Optuna thinks of those that have ended.

They are a function of the sweep's file and of how earlier trials ended, whichever ended first: a sweep that was killed
proposes the same again.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress.fleet.sweep.space import Axis, Settings, grid
from compress.fleet.sweep.spec import SearchConfig

if TYPE_CHECKING:
    import optuna

_DRAWS_A_TRIAL = 100
"""Draws after which a space is taken to hold no more settings that were not drawn before."""


@dataclass(frozen=True)
class Told:
    """How a trial that was proposed has ended, as Optuna is told."""

    settings: Settings
    kid: float | None
    """Of its student on held-back photos; None where none was trained to the end."""
    curve: tuple[tuple[int, float], ...] = ()
    """KID by step, of one that was stopped."""


def propose(search: SearchConfig, axes: Sequence[Axis], told: Sequence[Told]) -> list[Settings]:
    """Return the next settings to try, all at once; none where there are no more.

    Args:
        search: The method.
        axes: What is varied.
        told: How all that were proposed before have ended, in their order.

    Raises:
        UsageError: If a grid is asked for and has no end.
    """
    if search.method == "optuna":
        return _suggest(search, axes, told)
    if told:
        return []
    return grid(axes) if search.method == "grid" else _draw(search, axes)


def _draw(search: SearchConfig, axes: Sequence[Axis]) -> list[Settings]:
    """Draw settings at random, each once; fewer than asked for where there are no more."""
    from optuna.samplers import RandomSampler

    study = _new_study(RandomSampler(seed=search.seed))
    wanted = search.trials or 0
    found: list[Settings] = []
    for _ in range(_DRAWS_A_TRIAL * wanted):
        settings = _ask(study, axes)
        if settings not in found:
            found.append(settings)
        if len(found) == wanted:
            break
    return found


def _suggest(search: SearchConfig, axes: Sequence[Axis], told: Sequence[Told]) -> list[Settings]:
    """Have Optuna's TPE suggest a generation; what was drawn anew counts, also where it was tried before."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import TPESampler

    count = min(search.generation, (search.trials or 0) - len(told))
    if count <= 0:
        return []
    # Seeded by where it stands, so that a sweep that goes on draws what one that was never killed drew. With
    # constant_liar those of a generation keep away from each other.
    with warnings.catch_warnings():
        # constant_liar is marked as experimental.
        warnings.simplefilter("ignore", ExperimentalWarning)
        sampler = TPESampler(seed=search.seed + len(told), constant_liar=True)
    study = _new_study(sampler)
    for one in told:
        study.add_trial(_frozen(one, axes))
    return [_ask(study, axes) for _ in range(count)]


def _new_study(sampler: "optuna.samplers.BaseSampler") -> "optuna.Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=sampler, direction="minimize")


def _ask(study: "optuna.Study", axes: Sequence[Axis]) -> Settings:
    drawn = study.ask({axis.key: axis.distribution() for axis in axes}).params
    return {axis.key: axis.from_drawn(drawn[axis.key]) for axis in axes}


def _frozen(told: Told, axes: Sequence[Axis]) -> "optuna.trial.FrozenTrial":
    import optuna

    state = optuna.trial.TrialState
    return optuna.create_trial(
        state=state.PRUNED if told.kid is None else state.COMPLETE,
        value=told.kid,
        params={axis.key: axis.to_drawn(told.settings[axis.key]) for axis in axes},
        distributions={axis.key: axis.distribution() for axis in axes},
        intermediate_values=dict(told.curve),
    )
