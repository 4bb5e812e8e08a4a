"""Recipes: TOML files that hold a stage's configuration, one table a stage, under the same names as its flags."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from compress.config import from_mapping
from compress.data.config import Domain, opposite
from compress.distill.config import DistillConfig
from compress.errors import UsageError
from compress.teach.config import TeachConfig

TABLES = ("teach", "distill", "measure")
FOLDER = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class MeasureConfig:
    """How `compress run` exports, scores and times what it made: the `[measure]` table."""

    domain: Domain = "A"
    """Whose test photos are translated: testA, testB or both."""
    reference: Literal["teacher", "real"] = "teacher"
    """What images are compared with: the teacher's own, or the real test photos of the other domain."""
    io_type: Literal["float", "int8", "uint8"] = "float"
    """What the int8 file takes and returns."""
    calibration_images: int = 64
    """Training photos that set the int8 ranges."""
    threads: int = 1
    """Threads that latency is measured on."""
    runs: int = 20
    """Interleaved rounds of the latency measurement."""

    def __post_init__(self) -> None:
        if self.reference == "real" and opposite(self.domain) is None:
            raise UsageError(
                'reference = "real" with domain = "both": no photos are only what both translations should make. Set '
                'domain to "A" or "B", or reference to "teacher".'
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole way from a teacher to a measured student, and how the teacher itself was made where we made it."""

    teach: TeachConfig = field(default_factory=TeachConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)
    measure: MeasureConfig = field(default_factory=MeasureConfig)


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
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from error
    for key, table in tables.items():
        if key not in TABLES or not isinstance(table, dict):
            raise UsageError(f"{path} has an unknown entry {key!r}; expected the tables {', '.join(TABLES)}.")
    return tables


def load_recipe(name: str) -> Recipe:
    """Read and check a recipe.

    Raises:
        UsageError: As `read`, and if a key is unknown or a value wrong.
    """
    tables = read_recipe(name)
    return Recipe(
        teach=from_mapping(TeachConfig, tables.get("teach", {}), origin=f"{name} [teach]"),
        distill=from_mapping(DistillConfig, tables.get("distill", {}), origin=f"{name} [distill]"),
        measure=from_mapping(MeasureConfig, tables.get("measure", {}), origin=f"{name} [measure]"),
    )
