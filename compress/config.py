"""Stage configurations: one frozen keyword-only dataclass is a stage's flags, its recipe table and its manifest entry.

The string under a field is its help; cyclopts reads both in `cli.py`. Nothing heavy may be imported by a module that
defines a configuration, since `--help` reads them all.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from compress.errors import UsageError
from compress.renamed import explain_key

Config = TypeVar("Config")
TrainingPrecision = Literal["auto", "mixed_bfloat16", "float32"]
"""Arithmetic of a training; `auto` is whichever of the other two is faster on this machine."""
_LARGEST_INTEGER = 2**53
"""Largest integer up to which floats hold all of them; no count, size or seed needs more."""


def from_mapping(kind: type[Config], values: Mapping[str, Any], *, origin: str, table: str = "") -> Config:
    """Build a configuration from a recipe's table or a manifest's entry.

    Args:
        kind: The dataclass.
        values: Its keys and values as TOML or JSON gives them.
        origin: Where they come from, for the error: `recipes/vintage.toml [distill]`.
        table: The recipe's table, for what has become of a key that is unknown there.

    Raises:
        UsageError: If a key is unknown or was renamed, or a value is wrong.
    """
    require_fitting(kind, values, origin=origin, table=table)
    try:
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from error


def require_fitting(kind: type[Any], values: Mapping[str, Any], *, origin: str, table: str = "") -> None:
    """Check that a configuration has such keys, and that each takes such a value, whatever the others are.

    Args:
        kind: The dataclass.
        values: See `from_mapping`.
        origin: See `from_mapping`.
        table: See `from_mapping`.

    Raises:
        UsageError: If a key is unknown or was renamed, or a value is of another type.
    """
    hints = get_type_hints(kind)
    known = [item.name for item in fields(kind)]
    for key, value in values.items():
        if key not in hints:
            if explanation := explain_key(key, table, known=known):
                raise UsageError(f"{origin}: {explanation}")
            raise UsageError(f"{origin} has an unknown key {key!r}; expected one of {', '.join(known)}.")
        if not _fits(value, hints[key]):
            raise UsageError(f"{origin}: {key} = {value!r}, expected {_describe(hints[key])}.")


def check_config(config: Any, kind: type[Config]) -> Config:
    """Return a configuration that a program made, whose values no parser has seen.

    Raises:
        UsageError: If it is of another kind, or a value is of the wrong type.
    """
    if not isinstance(config, kind):
        raise UsageError(f"the configuration is of type {type(config).__name__}, expected {kind.__name__}.")
    for name, hint in get_type_hints(kind).items():
        if not _fits(getattr(config, name), hint):
            raise UsageError(f"{kind.__name__}: {name} = {getattr(config, name)!r}, expected {_describe(hint)}.")
    return config


def require_at_least(config: object, **least: int) -> None:
    """Check the lower bounds of a configuration's numbers; None, a flag that was not given, passes.

    Raises:
        UsageError: Naming the first number that is too small.
    """
    for name, allowed in least.items():
        value = getattr(config, name)
        if value is not None and value < allowed:
            raise UsageError(f"{name} = {value}, expected at least {allowed}.")


def require_finite(arguments: Mapping[str, Any]) -> None:
    """Check that no number of a command line is NaN or infinite; dataclasses among its arguments are looked through.

    Raises:
        UsageError: Naming the first one.
    """
    for name, value in _numbers_in(arguments):
        if not _fits(value, float):
            raise UsageError(f"{name} = {value!s:.40}, expected a finite number, at most 2**53.")


def _numbers_in(arguments: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in arguments.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, value
        elif is_dataclass(value):
            yield from _numbers_in({item.name: getattr(value, item.name) for item in fields(value)})


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as JSON- and TOML-ready values; paths become strings, also those in tuples."""
    return {key: _plain(value) for key, value in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return str(value) if isinstance(value, Path) else value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is float:
        return (isinstance(value, float) and math.isfinite(value)) or _fits(value, int)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST_INTEGER
    if get_args(hint) and type(None) in get_args(hint):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, (list, tuple)) and all(_fits(item, get_args(hint)[0]) for item in value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _describe(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(hint))
    if get_args(hint) and type(None) in get_args(hint):
        return " or ".join(_describe(option) for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        return f"a list of {_describe(get_args(hint)[0])}"
    return "a finite number" if hint is float else getattr(hint, "__name__", str(hint))
