"""Verdict on a trial before it is trained: what its student will cost, and which budget that is over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compress.cost import FILE_ERROR
from compress.errors import UsageError
from compress.fleet.budget.config import Budgets
from compress.fleet.budget.costs import PredictedCost, predict_costs
from compress.fleet.budget.latency import Reference, time_ratio
from compress.fleet.budget.shape import ShippedShape, read_shape
from compress.fleet.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a trial's student will cost; None is not known before it is trained."""

    params: int | None = None
    macs: int | None = None
    size_bytes: int | None = None
    """Bytes of the phone's file, within `compress.cost.FILE_ERROR`."""
    latency_ratio: float | None = None
    """Over the reference's; None also where no budget asks for it."""
    over: str | None = None
    """For people: the budget and the figure that is over it; None where the trial may be trained."""
    unknown: str | None = None
    """For people: which budget could not be checked, and why."""


def check_all(trials: Sequence[Trial], budgets: Budgets, sweep_dir: Path, *, base: str) -> list[Verdict]:
    """Predict what the students of trials will cost, and hold it against the budgets.

    A trial is over a budget only where it is beyond what the prediction, or the measurement, may be off. Students that
    fit into the other budgets are timed where latency has one, each shape once.

    Args:
        trials: The trials; nothing is trained.
        budgets: What their students may cost.
        sweep_dir: The sweep's folder, where what is found out is kept.
        base: The sweep's own recipe as TOML, whose student is the reference of latency where the budgets name none.

    Raises:
        UsageError: If a recipe has a key that is unknown or wrong.
        CommandFailed: If a student cannot be built, exported or timed.
    """
    shapes = [read_shape(trial.recipe) for trial in trials]
    told = iter(predict_costs([shape for shape in shapes if not shape.from_teacher], sweep_dir))
    verdicts = [_predict(shape, told) for shape in shapes]
    verdicts = [replace(verdict, over=_find_over(verdict, budgets)) for verdict in verdicts]
    if budgets.max_latency_ratio is None:
        return verdicts
    reference = _find_reference(budgets, base)
    return [
        verdict if verdict.over else _time(shape, verdict, reference, budgets.max_latency_ratio, sweep_dir)
        for shape, verdict in zip(shapes, verdicts, strict=True)
    ]


def _find_reference(budgets: Budgets, base: str) -> Reference:
    if budgets.latency_reference is not None:
        return Path(budgets.latency_reference)
    shape = read_shape(base)
    if shape.from_teacher:
        raise UsageError(
            "max_latency_ratio with a recipe of from_teacher = true, whose student cannot be timed untrained. "
            "Name a latency_reference: a .tflite file or an artifact of one."
        )
    return shape


def _predict(shape: ShippedShape, told: Iterator[PredictedCost]) -> Verdict:
    """Return the figures of one student; what pruning will leave of it counts."""
    cost = None if shape.from_teacher else next(told)
    params, macs, size_bytes = (cost.params, cost.macs, cost.size_bytes) if cost else (None, None, None)
    if (pruned := shape.pruned) is None:
        return Verdict(params=params, macs=macs, size_bytes=size_bytes)
    cuts_macs = pruned.max_macs is not None and (macs is None or macs > pruned.max_macs)
    cuts_bytes = pruned.max_bytes is not None and (size_bytes is None or size_bytes > pruned.max_bytes)
    if not (cuts_macs or cuts_bytes):
        return Verdict(params=params, macs=macs, size_bytes=size_bytes)
    # Pruning stops right below its budget; what else it leaves, only the trained weights tell.
    return Verdict(macs=pruned.max_macs if cuts_macs else None, size_bytes=pruned.max_bytes if cuts_bytes else None)


def _find_over(verdict: Verdict, budgets: Budgets) -> str | None:
    """Return the first budget that a student is over beyond the error of the prediction, with the figure."""
    size, most = verdict.size_bytes, budgets.max_bytes
    if size is not None and most is not None and size > most * (1 + FILE_ERROR):
        return f"max_bytes = {most}: its file would take {size} bytes, give or take {FILE_ERROR:.1%}"
    if verdict.macs is not None and budgets.max_macs is not None and verdict.macs > budgets.max_macs:
        return f"max_macs = {budgets.max_macs}: it would take {verdict.macs}"
    return None


def _time(shape: ShippedShape, verdict: Verdict, reference: Reference, most: float, sweep_dir: Path) -> Verdict:
    """Add a student's latency to what is known of it, measured where it can be."""
    if shape.from_teacher or shape.pruned is not None:
        why = "what is pruned, or starts from the teacher's layers, is not there to be timed before it is trained"
        return replace(verdict, unknown=f"max_latency_ratio: {why}")
    measured = time_ratio(shape, reference, sweep_dir)
    if measured.withheld is not None:
        return replace(verdict, unknown=f"max_latency_ratio: {measured.withheld}")
    verdict = replace(verdict, latency_ratio=measured.ratio)
    # Only what lies above the budget with all of its noise taken off is over it for certain.
    if measured.ratio / (1 + measured.noise) <= most:
        return verdict
    over = f"max_latency_ratio = {most:g}: it takes {measured.ratio:.2f} of the reference's time"
    return replace(verdict, over=f"{over}, give or take {measured.noise:.0%}")
