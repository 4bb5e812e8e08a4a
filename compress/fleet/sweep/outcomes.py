"""Outcomes of trials, made of what their runs left on disk and of what was known before they were trained."""

from pathlib import Path

from compress.artifact import open_artifact
from compress.fleet.budget.check import Verdict
from compress.fleet.sweep.build import Proposal
from compress.fleet.sweep.effort import Effort
from compress.fleet.sweep.failures import Failure
from compress.fleet.sweep.held_back import HeldBack, read_held_back, read_shipped
from compress.fleet.trial import Outcome, Status, run_folder
from compress.run.pipeline import exported_models


def finished(sweep_dir: Path, proposal: Proposal, effort: Effort, verdict: Verdict) -> Outcome:
    """Return the outcome of a trial that is trained and exported, with what its file takes."""
    run = run_folder(sweep_dir, proposal.trial.key)
    cost = open_artifact(run / exported_models(proposal.need_recipe())[-1]).manifest.cost
    reason = "trained with half the batch, since memory did not suffice" if effort.has_halved else None
    return _outcome("finished", reason, effort, read_shipped(run), (cost.macs, cost.size_bytes, verdict.latency_ratio))


def stopped(sweep_dir: Path, proposal: Proposal, effort: Effort, verdict: Verdict, rung: int, why: str) -> Outcome:
    """Return the outcome of a trial that halving stopped at a rung, with what its file would have taken."""
    # A quick training has measured more before it paused.
    measured = read_held_back(run_folder(sweep_dir, proposal.trial.key)).up_to(rung)
    return _outcome("stopped", why, effort, measured, _predicted(verdict))


def over_budget(verdict: Verdict) -> Outcome:
    """Return the outcome of a trial that is not trained, being over a budget."""
    return _outcome("over_budget", verdict.over, Effort(), HeldBack(), _predicted(verdict))


def failed(
    sweep_dir: Path, proposal: Proposal, effort: Effort, verdict: Verdict, failure: Failure, why: str
) -> Outcome:
    """Return the outcome of a trial that is not tried again."""
    tried = ", with half the batch too" if effort.has_halved else ""
    told = {"memory": f"ran out of memory{tried}: ", "lost": f"lost its worker or node {effort.lost + 1} times: "}
    measured = read_held_back(run_folder(sweep_dir, proposal.trial.key))
    return _outcome("failed", f"{told.get(failure, '')}{why}", effort, measured, _predicted(verdict))


def impossible(proposal: Proposal) -> Outcome:
    """Return the outcome of a trial whose settings do not go together."""
    return _outcome("failed", proposal.wrong, Effort(), HeldBack(), (None, None, None))


_Costs = tuple[int | None, int | None, float | None]


def _predicted(verdict: Verdict) -> _Costs:
    return verdict.macs, verdict.size_bytes, verdict.latency_ratio


def _outcome(status: Status, reason: str | None, effort: Effort, measured: HeldBack, costs: _Costs) -> Outcome:
    macs, size_bytes, latency_ratio = costs
    return Outcome(
        status=status,
        reason=reason,
        attempts=0 if status == "over_budget" else effort.attempts,
        seconds=round(effort.seconds, 1),
        node=effort.node,
        macs=macs,
        size_bytes=size_bytes,
        latency_ratio=latency_ratio,
        held_back=measured.points,
        kept_step=measured.kept_step,
    )
