"""A recipe as TOML with every key explained, to save and to change: `compress recipe NAME > mine.toml`."""

import ast
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from functools import cache
from typing import Any

from compress.config import to_mapping
from compress.distill.config import DistillConfig
from compress.prune.config import PruneConfig
from compress.run.recipe import TABLES, Kinds, MeasureConfig, Recipe
from compress.teach.config import TeachConfig
from compress.teachers.reading.config import ReadingConfig

_WIDTH = 100
_PLACED_ELSEWHERE = frozenset({"data", "image_size_px"})
"""Keys of an export that a recipe has elsewhere."""


def format_recipe(recipe: Recipe, above: Kinds) -> str:
    """Return a recipe's tables with every key of their stages: its value, and its help as a comment.

    A key without a value is a comment itself; a table that the recipe has not, too.

    Args:
        recipe: The recipe.
        above: Configuration classes of [quantize] and [export].
    """
    kinds = {"teacher": ReadingConfig, "teach": TeachConfig, "distill": DistillConfig, "prune": PruneConfig}
    kinds |= {**above, "measure": MeasureConfig}
    lines = [f"# {recipe.name}, with every key of its stages."]
    for table in TABLES:
        values = _values(recipe, table)
        commented = values is None
        hidden = _PLACED_ELSEWHERE if table == "export" else frozenset()
        lines += ["", f"{'# ' if commented else ''}[{table}]"]
        for field in fields(kinds[table]):
            if field.name not in hidden:
                lines += _key_lines(kinds[table], field, {} if values is None else values, commented=commented)
    return "\n".join(lines) + "\n"


def to_toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a recipe's tables as TOML without a word of explanation; values of None are left out.

    Args:
        tables: As `compress.run.recipe.read_recipe` returns them.
    """
    parts = []
    for table, values in tables.items():
        lines = [f"{key} = {shown}" for key, value in values.items() if (shown := _toml(value)) is not None]
        parts.append("\n".join([f"[{table}]", *lines, ""]))
    return "\n".join(parts)


def to_tables(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return a checked recipe's tables with every key, defaults among them."""
    return {table: dict(values) for table in TABLES if (values := _values(recipe, table)) is not None}


def _values(recipe: Recipe, table: str) -> Mapping[str, Any] | None:
    """Return the values of a table; None where the recipe has none."""
    if table == "export":
        return recipe.export
    config = recipe.reading if table == "teacher" else getattr(recipe, table)
    return None if config is None else to_mapping(config)


def _key_lines(kind: type[Any], field: "Field[Any]", values: Mapping[str, Any], *, commented: bool) -> Iterator[str]:
    for line in textwrap.wrap(_explanations(kind).get(field.name, ""), _WIDTH):
        yield f"# {line}"
    value = values.get(field.name, field.default)
    shown = _toml(value)
    if commented or shown is None:
        yield f"# {field.name} = {shown or ''}".rstrip()
    else:
        yield f"{field.name} = {shown}"


def _toml(value: Any) -> str | None:
    """Return a value as TOML writes it; None where nothing is set, which TOML has no word for."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml_scalar(one if isinstance(one, (int, float)) else str(one)) for one in value)}]"
    return _toml_scalar(value) if isinstance(value, (bool, int, float, str)) else None


def _toml_scalar(value: Any) -> str:
    # JSON's escapes are TOML's but for halves of a surrogate pair, and TOML allows no DEL as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@cache
def _explanations(kind: type[Any]) -> dict[str, str]:
    """Return the string under each field of a dataclass and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base is object:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        members = body.body if isinstance(body, ast.ClassDef) else []
        for one, following in itertools.pairwise(members):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and _is_text(following):
                found[one.target.id] = " ".join(following.value.value.split())  # pyright: ignore[reportAttributeAccessIssue]
    return found


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
