"""Fine-tuning of a student: its losses and its discriminator are those that it was distilled with."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from compress.config import from_mapping
from compress.data.config import Domain
from compress.distill.config import DiscriminatorConfig, DistillConfig, FitConfig, LossConfig, TrainConfig

DROPPED_BY_FOLDING = ("adversarial_weight", "matching_weight", "hint_weight")
"""Weights of the losses that a folded student is trained without: its layers are not those that they were tuned to."""
_Part = TypeVar("_Part")


@dataclass(frozen=True, kw_only=True)
class TuneConfig(TrainConfig):
    """Training of a student that was distilled before."""

    domain: Domain | None = None
    """Domain of the training photos; as distilled when not given."""


def fine_tuning_config(train: TrainConfig, distilled: Mapping[str, Any], *, folded: bool, origin: str) -> FitConfig:
    """Return the configuration of a fine-tuning by the losses and the discriminator of the distillation.

    A discriminator that came in at some step comes in after the same share of the steps.

    Args:
        train: Training of the stage that fine-tunes.
        distilled: The `config` of the student's manifest; a key that it lacks has its default.
        folded: Whether the student's BatchNorm is folded, so that `DROPPED_BY_FOLDING` do not apply.
        origin: Where `distilled` comes from, for the error.

    Raises:
        UsageError: If a value of `distilled` is wrong.
    """
    losses = _part(LossConfig, distilled, origin)
    # A manifest that does not name the kind is older than the second one.
    discriminator = _part(DiscriminatorConfig, {"discriminator": "patch", **distilled}, origin)
    values: dict[str, Any] = {item.name: getattr(train, item.name) for item in dataclasses.fields(TrainConfig)}
    values |= vars(losses) | vars(discriminator)
    values["adversarial_from_step"] = _share_before(discriminator.adversarial_from_step, distilled)
    values |= dict.fromkeys(DROPPED_BY_FOLDING, 0.0) if folded else {}
    return FitConfig(**values)


def dropped_losses(distilled: Mapping[str, Any]) -> list[str]:
    """List the losses of a distillation that a folded student is trained without, as `hint_weight = 1.0`."""
    return [f"{name} = {distilled[name]}" for name in DROPPED_BY_FOLDING if distilled.get(name)]


def _part(kind: type[_Part], distilled: Mapping[str, Any], origin: str) -> _Part:
    names = {item.name for item in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    return from_mapping(kind, {name: value for name, value in distilled.items() if name in names}, origin=origin)


def _share_before(begin: float, distilled: Mapping[str, Any]) -> float:
    """The share of a distillation's steps that came before a step; the default where nothing began at it."""
    share = begin if begin < 1 else begin / max(1, distilled.get("steps", DistillConfig.steps))
    return share if share < 1 else DistillConfig.adversarial_from_step
