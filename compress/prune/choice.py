"""Choice of the units to remove from a student, kept in the run's folder: a resumed run must not choose anew."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress.artifact import read_json_record
from compress.distill.config import FitConfig
from compress.distill.training_data.build import TrainingData
from compress.files.atomic import replace_text
from compress.prune import budget, importance
from compress.prune.budget import Budget, CostModel
from compress.prune.config import PruneConfig
from compress.prune.groups import Group, Unit
from compress.prune.sensitivity import gradients_on
from compress.strict_json import open_seal_if_any, seal_record

RECORD = "pruning.json"
"""File in the run's folder: `identity` of the run, and `kept`, for each group the positions of its units."""


@dataclass(frozen=True)
class Choice:
    """The units that stay, by their positions in each group."""

    kept: tuple[tuple[int, ...], ...]

    def removed(self, groups: Sequence[Group]) -> list[Unit]:
        """Return the units of all groups that go."""
        return [
            unit
            for group, kept in zip(groups, self.kept, strict=True)
            for position, unit in enumerate(group.units)
            if position not in kept
        ]

    def as_json(self, groups: Sequence[Group], channel_multiple: int) -> list[dict[str, Any]]:
        """Return for the manifest each group's makers, its size before and now, and whether it left the multiple."""
        counts, sizes = tuple(len(kept) for kept in self.kept), tuple(len(group.units) for group in groups)
        finer = budget.off_multiple(counts, sizes, channel_multiple)
        return [
            {"layers": list(group.makers), "before": size, "kept": count}
            | ({"off_multiple": True} if position in finer else {})
            for position, (group, size, count) in enumerate(zip(groups, sizes, counts, strict=True))
        ]


def choose(
    model: keras.Model,
    groups: Sequence[Group],
    training_data: TrainingData,
    config: PruneConfig,
    fit_config: FitConfig,
) -> Choice:
    """Rank the units and keep the most important ones that the budget holds.

    Args:
        model: The student.
        groups: Groups of this model.
        training_data: The photos to train on, for `taylor`.
        config: The budget, a possible one for this model, and the criterion.
        fit_config: The losses, for `taylor`.
    """
    scores = _scores(model, groups, training_data, config, fit_config)
    limits = Budget(max_bytes=config.max_bytes, max_macs=config.max_macs)
    counts = budget.search(CostModel(model, groups), scores, limits, config.channel_multiple)
    return Choice(tuple(_most_important(ranked, count) for ranked, count in zip(scores, counts, strict=True)))


def load_or_choose(work: Path, run_identity: str, make: Callable[[], Choice]) -> Choice:
    """Return the choice that this very run made before, or make one and write it down.

    Args:
        work: The run's folder.
        run_identity: What tells this run from another.
        make: Makes the choice.

    Raises:
        UnusableArtifact: If the record is damaged: another choice would not fit the weights that were trained since.
    """
    path = work / RECORD
    kept = read_json_record(path, _parse, what="a choice of channels", advice=f"Delete {work} to start anew.") or {}
    if run_identity in kept:
        return kept[run_identity]
    choice = make()
    record = {"identity": run_identity, "kept": choice.kept}
    replace_text(path, json.dumps(seal_record(record)) + "\n")
    return choice


def _parse(record: Any) -> dict[str, Choice]:
    """Return the recorded choice under the identity of its run."""
    opened = open_seal_if_any(record)
    return {opened["identity"]: Choice(tuple(tuple(kept) for kept in opened["kept"]))}


def _scores(
    model: keras.Model,
    groups: Sequence[Group],
    training_data: TrainingData,
    config: PruneConfig,
    fit_config: FitConfig,
) -> list[np.ndarray]:
    if config.importance == "taylor":
        gradients = gradients_on(model, training_data, fit_config, images=config.calibration_images)
        return importance.score_by_loss(model, groups, gradients)
    return importance.score_by_weights(model, groups, config.importance)


def _most_important(scores: np.ndarray, count: int) -> tuple[int, ...]:
    """Return the positions of the `count` highest scores, in order of position; of equal ones the first stay."""
    return tuple(sorted(np.argsort(-scores, kind="stable")[:count].tolist()))
