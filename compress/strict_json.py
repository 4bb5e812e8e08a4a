"""Strict reading of JSON files: nothing that a file holds is guessed at, converted or skipped.

`load_json` bounds size and depth and refuses what JSON leaves open: keys that come twice, NaN and Infinity, numbers
that overflow. `parse_record` then checks plain data against a dataclass: types, ranges, lengths, no unknown key, no
number as a string. `seal_record` and `open_seal` add a content hash and check it.

All of them raise ValueError, or OSError of the file; a reader turns both into the error of its kind and names the file.
"""

import hashlib
import json
import math
import os
import re
import stat
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

MOST_BYTES = 8 << 20
MOST_DEPTH = 16
SEAL = "content_sha256"
"""Key of a record's content hash."""
_SHOWN = 60
_MOST_DIGITS = 19
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
"""A string, whose brackets do not count, or a bracket; possessive, so that a torn string is passed over once."""
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True)
class Bounds:
    """Least and largest value of a number, both allowed: `Annotated[float, Bounds(0, 100)]`."""

    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True)
class Length:
    """Least and largest length of a string, list or object, both allowed: `Annotated[list[float], Length(9, 9)]`."""

    low: int = 0
    high: int = 1 << 30


@dataclass(frozen=True)
class Matches:
    """Regular expression that a whole string must match: `Annotated[str, Matches("[0-9a-f]{64}")]`."""

    pattern: str


Sha256 = Annotated[str, Matches("[0-9a-f]{64}")]


def load_json(path: Path, *, max_bytes: int = MOST_BYTES, max_depth: int = MOST_DEPTH) -> Any:
    """Load a JSON file as plain data.

    Args:
        path: A regular file; a pipe or device is refused unread, since reading it might never end.
        max_bytes: Largest file.
        max_depth: Most lists and objects within each other.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is too large or no regular file, or as `parse_json`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no regular file")
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"it is larger than {max_bytes:,} bytes")
    return parse_json(content, max_depth=max_depth)


def parse_json(content: bytes, *, max_depth: int = MOST_DEPTH) -> Any:
    """Parse JSON as plain data.

    Args:
        content: UTF-8, of a size that the caller bounds.
        max_depth: Most lists and objects within each other.

    Raises:
        ValueError: If it is no JSON, nested deeper, or holds a key twice, NaN, Infinity, an integer of more than 19
            digits, a number that overflows, or half of a surrogate pair.
    """
    _require_depth(content, max_depth)
    value = json.loads(
        content.decode("utf-8"),
        object_pairs_hook=_unique_pairs,
        parse_float=_parse_float,
        parse_int=_parse_int,
        parse_constant=_refuse_constant,
    )
    if _SURROGATE_ESCAPE.search(content):
        _require_text(value)
    return value


def parse_record(value: Any, kind: type[Record], *, where: str = "") -> Record:
    """Build a dataclass from plain data that fits its annotations exactly.

    Annotations may be `int`, `float` (takes integers), `bool`, `str`, `None`, `Any`, `Literal`, unions, `list`,
    `tuple`, `dict` or `Mapping` with string keys, other such dataclasses, and `Annotated` with `Bounds`, `Length` or
    `Matches`. Lists become tuples where the annotation says so; a field with a default may be missing.

    Args:
        value: Plain data, as `load_json` returns it.
        kind: The dataclass.
        where: Name of the value within its file, for the error; empty for the whole.

    Raises:
        ValueError: Naming the first value that does not fit, what it is and what was expected.
    """
    return _parse(value, kind, where)


def require_names(held: Any, where: str, *, needed: Iterable[str] = (), known: Iterable[str] = ()) -> None:
    """Check the keys of an object whose values are of no one type.

    Args:
        held: Plain data.
        where: Its place in the record, for the error; empty for the whole record.
        needed: Keys that it must have.
        known: Keys that it may have beside them.

    Raises:
        ValueError: If it is no object, lacks a key, or has one of another name.
    """
    if not isinstance(held, Mapping):
        raise ValueError(f"its {where!r} is a {type(held).__name__}, expected an object")
    needed = tuple(needed)
    if missing := [name for name in needed if name not in held]:
        raise ValueError(f"its {where or 'content'!r} has no {missing[0]!r}")
    if unknown := sorted(set(held) - {*needed, *known}):
        raise ValueError(f"its {where or 'content'!r} has an unknown key {unknown[0]!r}")


def seal_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with its content hash as the last entry."""
    content = {name: value for name, value in record.items() if name != SEAL}
    return content | {SEAL: _hash_content(content)}


def open_seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sealed record without its content hash, which must be right.

    Raises:
        ValueError: If there is no hash, or the content is another one than was written.
    """
    content = {name: value for name, value in record.items() if name != SEAL}
    if SEAL not in record:
        raise ValueError(f"it has no {SEAL!r}")
    if record[SEAL] != _hash_content(content):
        raise ValueError(f"its {SEAL!r} does not belong to its content, which was changed or torn after it was written")
    return content


def open_seal_if_any(record: Any) -> Any:
    """Return a record as `open_seal` does; one without a hash, as older versions wrote it, is returned as it is.

    Raises:
        ValueError: If it has a hash, and that of another content.
    """
    return open_seal(record) if isinstance(record, Mapping) and SEAL in record else record


def _hash_content(content: Mapping[str, Any]) -> str:
    text = json.dumps(_with_plain_numbers(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _with_plain_numbers(value: Any) -> Any:
    """Write 2.0 as 2, as other programs do that format JSON anew; a hash is of the content, not of its spelling."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, Mapping):
        return {name: _with_plain_numbers(held) for name, held in value.items()}
    return [_with_plain_numbers(held) for held in value] if isinstance(value, list | tuple) else value


def _require_depth(content: bytes, max_depth: int) -> None:
    depth = 0
    for token in _TOKENS.finditer(content):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > max_depth:
            raise ValueError(f"its lists and objects are nested deeper than {max_depth}")


def _unique_pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {_show(name)} comes twice")
        found[name] = value
    return found


def _require_text(value: Any) -> None:
    """Refuse lone surrogates, which nothing can print; U+DC80 to U+DCFF stand for bytes of names that are no UTF-8."""
    if isinstance(value, Mapping):
        _require_text([*value, *value.values()])
    elif isinstance(value, list):
        for held in value:
            _require_text(held)
    elif isinstance(value, str) and re.search("[\ud800-\udc7f\udd00-\udfff]", value):
        raise ValueError(f"{_show(value)} holds half of a surrogate pair")


def _parse_float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {_show(text)} is too large")
    return value


def _parse_int(text: str) -> int:
    if len(text.removeprefix("-")) > _MOST_DIGITS:
        raise ValueError(f"the number {_show(text)} has more than {_MOST_DIGITS} digits")
    return int(text)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number that JSON knows")


def _parse(value: Any, expected: Any, where: str) -> Any:
    if expected is Any:
        return value
    origin, arguments = get_origin(expected), get_args(expected)
    if origin is Annotated:
        parsed = _parse(value, arguments[0], where)
        for constraint in arguments[1:]:
            _require_constraint(parsed, constraint, where)
        return parsed
    if origin in (Union, types.UnionType):
        return _parse_union(value, arguments, expected, where)
    if origin is Literal:
        # 1 == True == 1.0 in Python, but not in JSON.
        if any(value == one and type(value) is type(one) for one in arguments):
            return value
        raise _misfit(value, " or ".join(map(repr, arguments)), where)
    if is_dataclass(expected):
        return _parse_dataclass(value, expected, where)
    if (origin or expected) in (list, tuple, dict, Mapping, Sequence):
        return _parse_container(value, origin or expected, arguments, where)
    return _parse_scalar(value, expected, where)


def _parse_union(value: Any, options: tuple[Any, ...], expected: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    others = [option for option in options if option is not type(None)]
    if len(others) == 1:
        return _parse(value, others[0], where)
    for option in others:
        try:
            return _parse(value, option, where)
        except ValueError:
            continue
    raise _misfit(value, str(expected), where)


def _parse_dataclass(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise _misfit(value, "an object", where)
    known, hints = [item for item in fields(kind) if item.init], get_type_hints(kind, include_extras=True)
    if unknown := sorted(set(value) - {item.name for item in known}):
        names = ", ".join(item.name for item in known)
        raise ValueError(f"{_name(where)} has an unknown key {_show(unknown[0])}, expected one of {names}")
    parsed = {}
    for item in known:
        if item.name in value:
            parsed[item.name] = _parse(value[item.name], hints[item.name], _join(where, item.name))
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"{_name(where)} has no {item.name!r}")
    return kind(**parsed)


def _parse_container(value: Any, kind: Any, arguments: tuple[Any, ...], where: str) -> Any:
    if kind in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _misfit(value, "an object", where)
        held = arguments[1] if arguments else Any
        return {name: _parse(one, held, _join(where, name)) for name, one in value.items()}
    if not isinstance(value, list | tuple):
        raise _misfit(value, "a list", where)
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(value) != len(arguments):
            raise _misfit(value, f"a list of {len(arguments)}", where)
        return tuple(_parse_items(value, arguments, where))
    items = _parse_items(value, [arguments[0] if arguments else Any] * len(value), where)
    return tuple(items) if kind is tuple else list(items)


def _parse_items(values: Sequence[Any], expected: Sequence[Any], where: str) -> Iterator[Any]:
    for index, (value, kind) in enumerate(zip(values, expected, strict=True)):
        yield _parse(value, kind, f"{where}[{index}]")


def _parse_scalar(value: Any, expected: Any, where: str) -> Any:
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a string", type(None): "null"}
    if expected not in names:
        raise TypeError(f"{_name(where)} is annotated with {expected}, which no JSON value can be checked against.")
    fits = type(value) is expected or (expected is float and type(value) is int)
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise _misfit(value, names[expected], where)
    return float(value) if expected is float else value


def _require_constraint(value: Any, constraint: Any, where: str) -> None:
    if isinstance(constraint, Bounds) and not constraint.low <= value <= constraint.high:
        raise _misfit(value, f"{constraint.low:g} to {constraint.high:g}", where)
    if isinstance(constraint, Length) and not constraint.low <= len(value) <= constraint.high:
        length = str(constraint.low) if constraint.low == constraint.high else f"{constraint.low} to {constraint.high}"
        raise ValueError(f"{_name(where)} is of length {len(value)}, expected {length}")
    if isinstance(constraint, Matches) and not re.fullmatch(constraint.pattern, value):
        raise _misfit(value, f"what matches {constraint.pattern}", where)


def _misfit(value: Any, expected: str, where: str) -> ValueError:
    return ValueError(f"{_name(where)} is {_show(value)}, expected {expected}")


def _name(where: str) -> str:
    return f"its {_show(where)}" if where else "it"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _show(value: Any) -> str:
    """Show a value of a stranger: printable, and not longer than a line."""
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
