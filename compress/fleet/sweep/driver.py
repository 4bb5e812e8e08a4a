"""Driver of a sweep: proposes trials, holds them to the budgets, has them trained from rung to rung."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from compress.errors import UsageError
from compress.fleet.budget.check import Verdict, check_all
from compress.fleet.sweep import outcomes
from compress.fleet.sweep.build import Builder, Proposal
from compress.fleet.sweep.effort import read_effort
from compress.fleet.sweep.engine import Engine
from compress.fleet.sweep.halving import rank, rungs
from compress.fleet.sweep.held_back import HeldBack, read_held_back
from compress.fleet.sweep.proposals import Told, propose
from compress.fleet.sweep.spec import SweepSpec
from compress.fleet.trial import Outcome, read_outcome, remove_outcome, run_folder, write_asked, write_outcome

_log = logging.getLogger(__name__)


class Driver:
    """Runs a sweep to its end; all that it knows is on disk, so that another goes on where it was killed.

    Args:
        spec: The sweep.
        builder: Makes its trials.
        sweep_dir: Its folder.
        engine: Starts the engine, where there is something to train.
    """

    def __init__(
        self, spec: SweepSpec, builder: Builder, sweep_dir: Path, engine: Callable[[dict[str, Verdict]], Engine]
    ) -> None:
        self._spec, self._builder, self._sweep_dir, self._start_engine = spec, builder, sweep_dir, engine
        self._engine: Engine | None = None
        self._proposed: dict[str, Proposal] = {}
        """By key, in the order of their numbers; what is proposed twice is one trial."""
        self._verdicts: dict[str, Verdict] = {}

    def run(self) -> None:
        """Run it.

        Raises:
            UsageError: If no settings go together, or a node does not see the sweep's folder.
            ClusterLost: If Ray is gone.
        """
        told: list[Told] = []
        while settings := propose(self._spec.search, self._spec.axes, told):
            keys = [self._add(number, one) for number, one in enumerate(settings, start=len(told))]
            write_asked(self._sweep_dir, self._builder.inputs, [one.trial for one in self._proposed.values()])
            new = [self._proposed[key] for key in dict.fromkeys(keys)]
            self._refuse(new)
            self._hold_to_budgets(new)
            self._train(new)
            told += [Told(one, *self._result(key)) for one, key in zip(settings, keys, strict=True)]

    def _add(self, number: int, settings: dict[str, object]) -> str:
        proposal = self._builder.build(number, settings)
        return self._proposed.setdefault(proposal.trial.key, proposal).trial.key

    def _refuse(self, new: Sequence[Proposal]) -> None:
        """End trials whose settings do not go together; where that is all of them, the sweep is wrong."""
        wrong = [one for one in new if one.recipe is None]
        if len(wrong) == len(self._proposed):
            raise UsageError(
                f"no settings of [space] go together. The first are {wrong[0].trial.settings}: {wrong[0].wrong}"
            )
        for one in wrong:
            write_outcome(self._sweep_dir, one.trial.key, outcomes.impossible(one))

    def _hold_to_budgets(self, new: Sequence[Proposal]) -> None:
        """End trials that are over a budget, and let those go on that were over one that is wider now."""
        asked = [one for one in new if (ended := self._outcome(one)) is None or ended.status == "over_budget"]
        if not asked:
            return
        trials = [one.trial for one in asked]
        verdicts = check_all(trials, self._spec.budgets, self._sweep_dir, base=self._builder.base)
        for trial, verdict in zip(trials, verdicts, strict=True):
            self._verdicts[trial.key] = verdict
            if verdict.unknown is not None:
                _log.warning("trial %d: %s", trial.number, verdict.unknown)
            if verdict.over is not None:
                write_outcome(self._sweep_dir, trial.key, outcomes.over_budget(verdict))
            else:
                remove_outcome(self._sweep_dir, trial.key)

    def _train(self, new: Sequence[Proposal]) -> None:
        """Train what has not ended: to each rung, after which some stop, then to the end."""
        steps = {one.trial.key: one.recipe.require_distill().steps for one in new if one.recipe is not None}
        for rung in rungs(self._spec.halving, steps.values()):
            due = [one for one in self._going_on(new) if steps[one.trial.key] > rung]
            self._run([one for one in due if self._measured(one).at(rung) is None], pause_at=rung)
            self._halve(rung, self._going_on(due))
        self._run(self._going_on(new), pause_at=None)

    def _run(self, proposals: Sequence[Proposal], *, pause_at: int | None) -> None:
        if not proposals:
            return
        self._engine = self._engine or self._start_engine(self._verdicts)
        self._engine.run(proposals, pause_at=pause_at)

    def _halve(self, rung: int, asked: Sequence[Proposal]) -> None:
        """Stop those that are not among the best of all that were measured at a rung."""
        halving = self._spec.halving
        found = {key: self._measured(one).at(rung) for key, one in self._proposed.items()}
        measured = {key: kid for key, kid in found.items() if kid is not None}
        if halving is None or not measured:
            _log.warning("no training stops at step %d, since no KID was measured there: hold more photos back", rung)
            return
        stops = rank(measured, [one.trial.key for one in asked], halving.reduction)
        for key, (place, going_on) in stops.items():
            why = f"KID {measured[key]:.4f} at step {rung} is number {place} of {len(measured)}; {going_on} go on"
            effort, verdict = read_effort(self._sweep_dir, key), self._verdicts[key]
            ended = outcomes.stopped(self._sweep_dir, self._proposed[key], effort, verdict, rung, why)
            write_outcome(self._sweep_dir, key, ended)

    def _outcome(self, proposal: Proposal) -> Outcome | None:
        return read_outcome(self._sweep_dir, proposal.trial.key)

    def _going_on(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        return [one for one in proposals if self._outcome(one) is None]

    def _measured(self, proposal: Proposal) -> HeldBack:
        """Return what was measured of a trial; its run's folder may be gone once it has ended."""
        if (ended := self._outcome(proposal)) is not None:
            return HeldBack(ended.held_back, ended.kept_step)
        return read_held_back(run_folder(self._sweep_dir, proposal.trial.key))

    def _result(self, key: str) -> tuple[float | None, tuple[tuple[int, float], ...]]:
        """Return a trial's KID, where it is trained to its end, and its curve."""
        measured = self._measured(self._proposed[key])
        return measured.kept_kid, tuple((step, kid) for step, kid, _ in measured.points)
