"""The student that a recipe ships, as far as its cost goes: architecture, precision, what pruning will leave of it."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from compress.config import from_mapping
from compress.distill.config import DistillConfig
from compress.models.pocket.config import PocketConfig
from compress.prune.config import PruneConfig


@dataclass(frozen=True, kw_only=True)
class ShippedShape:
    """Shape of the phone's file that a recipe makes."""

    student: PocketConfig
    from_teacher: bool
    """Whether the student has the teacher's layers, and `student` says nothing but its size."""
    precision: str
    io_type: str
    pruned: PruneConfig | None
    """How it is pruned after its training."""
    threads: int
    """Threads that its latency is measured on."""

    @property
    def key(self) -> str:
        """12 hexadecimal digits that tell files of different architecture, precision or ends apart."""
        parts = (asdict(self.student), self.precision, self.io_type, self.threads)
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def read_shape(recipe: str) -> ShippedShape:
    """Read the shape that a recipe ships.

    Args:
        recipe: TOML text with a table [distill].

    Raises:
        UsageError: If a key of [distill] or [prune] is unknown or wrong.
    """
    tables = tomllib.loads(recipe)
    distill = from_mapping(DistillConfig, tables.get("distill", {}), origin="the trial's [distill]", table="distill")
    export, prune = tables.get("export", {}), tables.get("prune")
    return ShippedShape(
        student=_resolve(distill),
        from_teacher=distill.from_teacher,
        precision=export.get("precision", "int8"),
        io_type=export.get("io_type", "float"),
        pruned=None if prune is None else from_mapping(PruneConfig, prune, origin="the trial's [prune]", table="prune"),
        threads=_threads(tables.get("measure", {})),
    )


def _resolve(config: DistillConfig) -> PocketConfig:
    """Return the architecture alone, with what the family chooses filled in, so that equal ones are equal."""
    own = {item.name: getattr(config, item.name) for item in fields(PocketConfig)}
    chosen = {"kernel_size": config.trunk_kernel_size, "upsampler": config.chosen_upsampler}
    return PocketConfig(**{**own, **chosen})


def _threads(measure: Mapping[str, Any]) -> int:
    return measure.get("threads", 1)
