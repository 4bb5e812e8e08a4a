"""Choice among a sweep's students, on held-back training photos alone: what is chosen may be scored, once, at the end.

Nothing here has seen a test image. Whoever tries many students and takes the best of them by their score has fitted the
test images: so the choice is made without them, and the number of trials that it was made from belongs to the score.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from compress.config import from_mapping
from compress.fleet.budget.config import Budgets
from compress.fleet.trial import SWEEP, Outcome, Trial, list_trials

Trials = Sequence[tuple[Trial, Outcome | None]]


@dataclass(frozen=True)
class Candidate:
    """A trained student that can be chosen."""

    trial: Trial
    outcome: Outcome
    kid: float
    """On held-back photos, of the weights that were kept."""
    spread: float
    size_bytes: int

    @property
    def costs(self) -> tuple[float, ...]:
        """What it costs a phone: bytes, and latency over the reference's where that was measured."""
        latency = self.outcome.latency_ratio
        return (self.size_bytes,) if latency is None else (self.size_bytes, latency)


def choose_in(sweep_dir: Path) -> list[Candidate]:
    """Choose among the students of a sweep's folder, as `choose` does, within the budgets of its `sweep.toml`."""
    table = tomllib.loads((sweep_dir / SWEEP).read_text(encoding="utf-8")).get("budget", {})
    budgets = from_mapping(Budgets, table, origin=f"{sweep_dir / SWEEP} [budget]")
    return choose(list_trials(sweep_dir), budgets)


def choose(trials: Trials, budgets: Budgets | None = None) -> list[Candidate]:
    """Choose the students that are worth their cost, from the Pareto front.

    From the best on, the front is taken in groups that the noise of KID cannot tell apart: all within one spread of the
    group's best. Of each, the cheapest are chosen, so that nobody pays for what may be chance.

    Args:
        trials: Of one sweep.
        budgets: What a finished file may cost at most; a prediction may have been off by a little.

    Returns:
        From the least KID to the least cost; empty where no student is finished or KID was not measured.

    Source: Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, the one-standard-error rule.
    """
    left = find_front(list_candidates(trials, budgets))
    chosen: list[Candidate] = []
    while left:
        bound = left[0].kid + left[0].spread
        group = [one for one in left if one.kid <= bound]
        cheapest = _find_best(group, lambda one: one.costs)
        chosen += cheapest
        rest = [one for one in left if one.kid > bound]
        left = [one for one in rest if not any(_is_no_worse(kept.costs, one.costs) for kept in cheapest)]
    return chosen


def list_candidates(trials: Trials, budgets: Budgets | None = None) -> list[Candidate]:
    """List the finished students whose KID on held-back photos is known and whose file fits the budgets."""
    allowed = budgets or Budgets()
    found = [_read(trial, outcome) for trial, outcome in trials if outcome and outcome.status == "finished"]
    return [one for one in found if one and _fits(one, allowed)]


def find_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Find the Pareto front: those that no other one beats in KID and in all of the cost, from the least KID on.

    Latency counts where it is known of all of them.
    """
    is_timed = all(len(one.costs) > 1 for one in candidates)
    return sorted(
        _find_best(candidates, lambda one: (one.kid, *(one.costs if is_timed else one.costs[:1]))),
        key=lambda one: (one.kid, one.costs),
    )


def _find_best(candidates: Sequence[Candidate], figures: Callable[[Candidate], tuple[float, ...]]) -> list[Candidate]:
    """Return those that no other one is as good as in every figure; of equals, the first."""
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda one: (figures(one), one.trial.number)):
        if not any(_is_no_worse(figures(other), figures(one)) for other in kept):
            kept.append(one)
    return kept


def _is_no_worse(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(mine <= theirs for mine, theirs in zip(one, other, strict=False))


def _fits(candidate: Candidate, budgets: Budgets) -> bool:
    macs = candidate.outcome.macs
    return (budgets.max_bytes is None or candidate.size_bytes <= budgets.max_bytes) and (
        budgets.max_macs is None or macs is None or macs <= budgets.max_macs
    )


def _read(trial: Trial, outcome: Outcome) -> Candidate | None:
    kept = next(((kid, spread) for step, kid, spread in outcome.held_back if step == outcome.kept_step), None)
    if kept is None or outcome.size_bytes is None:
        return None
    return Candidate(trial, outcome, *kept, outcome.size_bytes)
