"""SWEEP.toml: a recipe, what of it is varied, how many trials of it are made, and what each may cost and take."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compress.config import from_mapping, require_at_least
from compress.distill.config import DistillConfig
from compress.errors import UsageError
from compress.fleet.budget.config import Budgets
from compress.fleet.sweep.space import Axis, parse_axes
from compress.prune.config import PruneConfig
from compress.run.recipe import Kinds
from compress.teach.config import TeachConfig

_KEYS = {"recipe": str, "data": str, "teacher": str}
_TABLES = ("search", "space", "budget", "halving", "resources")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Choice of the trials: the `[search]` table."""

    method: Literal["grid", "random", "optuna"] = "grid"
    """grid tries every combination, random some of them, optuna (TPE) what did well so far."""
    trials: int | None = None
    """Number of trials; a grid has as many as its lists make."""
    seed: int = 0
    """Random seed of what is drawn."""
    generation: int = 8
    """Trials that optuna proposes at once, knowing how all before them ended: the more, the more nodes work at once."""

    def __post_init__(self) -> None:
        require_at_least(self, trials=1, generation=1, seed=0)
        if (self.method == "grid") != (self.trials is None):
            expected = "none, since a grid has as many as its lists make" if self.method == "grid" else "a number"
            raise UsageError(f"trials = {self.trials} with method = {self.method!r}, expected {expected}.")


@dataclass(frozen=True, kw_only=True)
class HalvingConfig:
    """Successive halving: which trainings go on after a rung, by their KID on held-back photos; the `[halving]` table.

    Source: Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification, arXiv:1502.07943.
    """

    first_step: int
    """Step of the first rung; each further rung is `reduction` times as far."""
    reduction: int = 3
    """One in so many trials goes on after a rung."""

    def __post_init__(self) -> None:
        require_at_least(self, first_step=1, reduction=2)


@dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    """What one trial takes of a node: the `[resources]` table."""

    cpus: int = 1
    """Cores, and threads of its training."""
    gpus: float = 0
    """Accelerators, or a share of one below 1."""

    def __post_init__(self) -> None:
        require_at_least(self, cpus=1)
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise UsageError(f"gpus = {self.gpus}, expected a share from 0 to 1, or a whole number.")


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """Everything that a SWEEP.toml says, checked."""

    name: str
    """Path of the file, for errors."""
    recipe: str
    """Name or path of the recipe."""
    data: Path
    teacher: Path | None = None
    """None where each trial trains its own."""
    axes: tuple[Axis, ...]
    search: SearchConfig = field(default_factory=SearchConfig)
    budgets: Budgets = field(default_factory=Budgets)
    halving: HalvingConfig | None = None
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)


def read_spec(path: Path, above: Kinds) -> SweepSpec:
    """Read a SWEEP.toml.

    Args:
        path: The file. Paths in it are relative to the current folder, as on a command line.
        above: Configuration classes of a recipe's [quantize] and [export].

    Raises:
        UsageError: If it is none, or a key or value in it is wrong.
    """
    try:
        held = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist; expected a sweep's .toml file.") from error
    # Numbers of thousands of digits, and thousands of brackets within each other, are no TOML that anyone means.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    _require_shape(held, path)

    def parse(kind: type[Any], table: str) -> Any:
        return from_mapping(kind, held.get(table, {}), origin=f"{path} [{table}]")

    return SweepSpec(
        name=str(path),
        recipe=held["recipe"],
        data=Path(held["data"]),
        teacher=Path(held["teacher"]) if "teacher" in held else None,
        axes=parse_axes(held.get("space", {}), _varied_kinds(above), str(path)),
        search=parse(SearchConfig, "search"),
        budgets=parse(Budgets, "budget"),
        halving=_parse_halving(held, path),
        resources=parse(ResourcesConfig, "resources"),
    )


def _varied_kinds(above: Kinds) -> dict[str, type[Any]]:
    """Return the configuration classes of the tables that a trial may vary: all that decide what its file is."""
    return {"teach": TeachConfig, "distill": DistillConfig, "prune": PruneConfig, **above}


def _parse_halving(held: Mapping[str, Any], path: Path) -> HalvingConfig | None:
    table = held.get("halving")
    if table is None:
        return None
    if "first_step" not in table:
        raise UsageError(f"{path} [halving] has no first_step, the step after which the first trials stop. Add it.")
    return from_mapping(HalvingConfig, table, origin=f"{path} [halving]")


def _require_shape(held: Mapping[str, Any], path: Path) -> None:
    """Check the names of keys and tables, and the types of what is no table."""
    for key, value in held.items():
        if key in _TABLES and not isinstance(value, dict):
            raise UsageError(f"{path}: {key} = {value!r}, expected a table [{key}].")
        if key in _KEYS and not (isinstance(value, str) and value):
            raise UsageError(f"{path}: {key} = {value!r}, expected a text.")
        if key not in _TABLES and key not in _KEYS:
            raise UsageError(f"{path} has an unknown entry {key!r}; expected {', '.join((*_KEYS, *_TABLES))}.")
    if missing := [key for key in ("recipe", "data") if key not in held]:
        raise UsageError(f'{path} has no {missing[0]}. Add a line: {missing[0]} = "…".')
