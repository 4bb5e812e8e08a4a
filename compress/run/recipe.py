"""Recipes: TOML files that hold the stages' configurations, one table a stage, under the same names as its flags."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compress.config import from_mapping, require_at_least
from compress.data.config import Domain, opposite
from compress.distill.config import DistillConfig
from compress.errors import UsageError
from compress.prune.config import PruneConfig
from compress.teach.config import TeachConfig
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

FOLDER = Path(__file__).parent.parent / "recipes"
_ELSEWHERE = {
    "data": "names the photos of the whole run, --data",
    "image_size_px": "belongs to [distill]",
}
"""Keys of an export's configuration that a recipe's [export] cannot have, and where they belong."""


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """Scoring and timing of a run's models: the `[measure]` table."""

    domain: Domain = "A"
    """Domain of the test photos that are translated: testA, testB or both."""
    reference: Literal["teacher", "real"] = "teacher"
    """Images to compare with: the teacher's own, or the real test photos of the other domain."""
    threads: int = 1
    """Threads that latency is measured on."""
    runs: int = 20
    """Interleaved rounds of the latency measurement."""

    def __post_init__(self) -> None:
        require_at_least(self, threads=1, runs=1)
        if self.reference == "real" and opposite(self.domain) is None:
            raise UsageError(
                'reference = "real" with domain = "both": no photos are only what both translations should make. Set '
                'domain to "A" or "B", or reference to "teacher".'
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Configurations of the stages from a teacher to a measured student; None where a recipe has no such table."""

    name: str
    """Name or path of the recipe, for errors."""
    reading: ReadingConfig = AS_FOUND
    """What the recipe says about the teacher's file: the `[teacher]` table."""
    teach: TeachConfig | None = None
    distill: DistillConfig | None = None
    prune: PruneConfig | None = None
    quantize: Any = None
    """`QuantizeConfig` of the package above this one."""
    export: Mapping[str, Any] = field(default_factory=lambda: {"precision": "int8"})
    """Flags of `compress export tflite`, checked; int8 where the recipe names no precision."""
    measure: MeasureConfig = field(default_factory=MeasureConfig)

    def require_distill(self) -> DistillConfig:
        """Return [distill].

        Raises:
            UsageError: If the recipe has no such table.
        """
        if self.distill is None:
            raise UsageError(f"{self.name} has no table [distill], without which a run makes no student. Add one.")
        return self.distill


Kinds = Mapping[Literal["quantize", "export"], type[Any]]
"""Configuration classes of the tables whose stages belong to packages above this one."""
TABLES = ("teacher", "teach", "distill", "prune", "quantize", "export", "measure")


def read_recipe(name: str) -> dict[str, Mapping[str, Any]]:
    """Read a recipe's tables, unchecked.

    Args:
        name: A path that ends in `.toml`, or the name of a recipe in `compress/recipes`.

    Raises:
        UsageError: If there is no such recipe, or the file is no TOML of tables.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in FOLDER.glob("*.toml")))
        raise UsageError(f"{name} is no recipe; expected the path of a .toml file, or one of {known}.")
    try:
        # As bytes: read as text, Python would take a lone carriage return, which TOML has not, for the end of a line.
        tables = tomllib.loads(path.read_bytes().decode("utf-8"))
    # Numbers of thousands of digits, and thousands of brackets within each other, are no TOML that anyone means.
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    for key, table in tables.items():
        if key not in TABLES or not isinstance(table, dict):
            raise UsageError(f"{path} has an unknown entry {key!r}; expected the tables {', '.join(TABLES)}.")
    return tables


def with_settings(tables: Mapping[str, Mapping[str, Any]], settings: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return a recipe's tables with some keys set: `distill.steps=4000`.

    Args:
        tables: From `read_recipe`.
        settings: `TABLE.KEY=VALUE` each, the value as in TOML; a word needs no quotes.

    Raises:
        UsageError: If a setting is no such thing, or its table unknown.
    """
    changed: dict[str, Mapping[str, Any]] = dict(tables)
    for setting in settings:
        place, equals, text = setting.partition("=")
        table, dot, key = place.strip().partition(".")
        if not equals or not dot or not key or table not in TABLES:
            raise UsageError(
                f"set = {setting!r}, expected TABLE.KEY=VALUE, such as distill.steps=4000; tables: {', '.join(TABLES)}."
            )
        changed[table] = {**changed.get(table, {}), key: _parse_value(text.strip())}
    return changed


def _parse_value(text: str) -> Any:
    """Return a value as TOML means it; what is no TOML value is a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def load_recipe(name: str, above: Kinds, settings: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe.

    Args:
        name: See `read_recipe`.
        above: Configuration classes of [quantize] and [export].
        settings: See `with_settings`.

    Raises:
        UsageError: See `read_recipe`; also if a key is unknown or was renamed, or a value is wrong.
    """
    return check_recipe(name, with_settings(read_recipe(name), settings), above)


def check_recipe(name: str, tables: Mapping[str, Mapping[str, Any]], above: Kinds) -> Recipe:
    """Check a recipe's tables.

    Args:
        name: What errors call the recipe.
        tables: From `read_recipe`.
        above: Configuration classes of [quantize] and [export].

    Raises:
        UsageError: If a key is unknown or was renamed, or a value is wrong.
    """
    kinds = {"teach": TeachConfig, "distill": DistillConfig, "prune": PruneConfig, "quantize": above["quantize"]}
    stages: dict[str, Any] = {
        table: from_mapping(kind, tables[table], origin=f"{name} [{table}]", table=table)
        for table, kind in kinds.items()
        if table in tables
    }
    return Recipe(
        name=name,
        reading=from_mapping(ReadingConfig, tables.get("teacher", {}), origin=f"{name} [teacher]", table="teacher"),
        **stages,
        export=_checked_export(name, tables.get("export", {}), above["export"]),
        measure=from_mapping(MeasureConfig, tables.get("measure", {}), origin=f"{name} [measure]", table="measure"),
    )


def _checked_export(name: str, table: Mapping[str, Any], kind: type[Any]) -> dict[str, Any]:
    for key, place in _ELSEWHERE.items():
        if key in table:
            raise UsageError(f"{name} [export] has {key}, which {place}. Leave it out.")
    flags = {"precision": "int8", **table}
    # A run always has photos to calibrate on; which ones the command line tells.
    from_mapping(kind, {**flags, "data": Path()}, origin=f"{name} [export]", table="export")
    return flags
