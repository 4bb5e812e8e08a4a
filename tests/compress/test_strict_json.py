"""Strict JSON: what JSON leaves open is refused, what does not fit a dataclass is named, a hash tells of changes."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from compress.strict_json import (
    SEAL,
    Bounds,
    Length,
    Matches,
    load_json,
    open_seal,
    parse_json,
    parse_record,
    seal_record,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    share: Annotated[float, Bounds(0, 1)]
    kind: Literal["a", "b", 1] = "a"


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: Annotated[str, Matches("[a-z]+")]
    parts: list[Part]
    size: Annotated[int, Bounds(1)] | None = None
    shape: tuple[int | None, int] = (1, 1)
    pair: tuple[float, ...] = ()
    done: bool = False
    texts: Annotated[Mapping[str, str], Length(0, 2)] | None = None


def test_plain_data_comes_back_as_written(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, -3e-7, True, None, "ü€😀"], "b": {"c": {}}, "n": 2**63 - 1}
    for ascii_only in (True, False):
        (tmp_path / "a.json").write_text(json.dumps(value, ensure_ascii=ascii_only), encoding="utf-8")
        assert load_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1, "a": 1}', "'a' comes twice"),
        ('[{"b": {"a": 1, "a": 2}}]', "'a' comes twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "too large"),
        ("[-1e999]", "too large"),
        ("[" + "9" * 20 + "]", "more than 19 digits"),
        ("[" + "9" * 100_000 + "]", "more than 19 digits"),
        (r'["\ud800"]', "surrogate"),
        (r'{"\udfff": 1}', "surrogate"),
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
        ("\ufeff{}", "BOM"),
        ('["a\nb"]', "control character"),
        ("[" * 17 + "]" * 17, "deeper than 16"),
        ('{"a":' * 100_000, "deeper than 16"),
    ],
)
def test_what_json_leaves_open_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_json(text.encode())


def test_bytes_that_are_no_utf_8_are_refused() -> None:
    for content in (b'["\xff"]', '["a"]'.encode("utf-16")):
        with pytest.raises(ValueError, match="decode"):
            parse_json(content)


def test_brackets_in_strings_nest_nothing_and_bytes_of_file_names_stay() -> None:
    assert parse_json(json.dumps(["[" * 50 + '"\\' + "{" * 50]).encode()) == ["[" * 50 + '"\\' + "{" * 50]
    assert parse_json(b"[" * 16 + b"]" * 16) is not None
    name = os.fsdecode(b"caf\xe9")
    assert parse_json(json.dumps([name]).encode()) == [name]


def test_torn_strings_take_no_longer_than_their_length() -> None:
    started = time.perf_counter()
    for text in (b'"' + b'\\"' * 500_000, b'"' + b"\\" * 1_000_001, b'"a' * 500_001):
        with pytest.raises(ValueError, match="line 1"):
            parse_json(text)
    assert time.perf_counter() - started < 5


def test_file_that_is_too_large_or_none_is_refused_unread(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"[" + b" " * 100 + b"]")
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        load_json(tmp_path / "a.json", max_bytes=100)
    assert load_json(tmp_path / "a.json", max_bytes=102) == []
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", tmp_path):
        with pytest.raises((ValueError, OSError), match=r"regular file|directory"):
            load_json(path)
    with pytest.raises(OSError, match="missing"):
        load_json(tmp_path / "missing.json")


def test_record_that_fits_becomes_its_dataclass() -> None:
    found = parse_record(
        {
            "name": "x",
            "parts": [{"share": 1}, {"share": 0.5, "kind": 1}],
            "size": None,
            "shape": [None, 3],
            "pair": [1, 2.0],
            "texts": {"a": "b"},
        },
        Whole,
    )
    parts = [Part(share=1.0), Part(share=0.5, kind=1)]
    assert found == Whole(name="x", parts=parts, shape=(None, 3), pair=(1.0, 2.0), texts={"a": "b"})
    assert isinstance(found.parts[0].share, float)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": None}, "'name' is None, expected a string"),
        ({"name": "X"}, "'name' is 'X', expected what matches"),
        ({"name": "x\n"}, r"'name' is 'x\\n'"),
        ({"parts": {}}, "'parts' is {}, expected a list"),
        ({"parts": [{"share": "0.5"}]}, r"'parts\[0\].share' is '0.5', expected a number"),
        ({"parts": [{"share": True}]}, r"'parts\[0\].share' is True, expected a number"),
        ({"parts": [{"share": float("nan")}]}, r"'parts\[0\].share' is nan"),
        ({"parts": [{"share": 1.01}]}, "expected 0 to 1"),
        ({"parts": [{}]}, r"'parts\[0\]' has no 'share'"),
        ({"parts": [{"share": 1, "kind": True}]}, "kind' is True, expected 'a' or 'b' or 1"),
        ({"size": 0}, "'size' is 0, expected 1 to inf"),
        ({"size": 1.0}, "'size' is 1.0, expected an integer"),
        ({"size": False}, "'size' is False, expected an integer"),
        ({"shape": [1, 2, 3]}, "expected a list of 2"),
        ({"shape": "12"}, "'shape' is '12', expected a list"),
        ({"done": 1}, "'done' is 1, expected true or false"),
        ({"texts": {"a": "b", "c": "d", "e": "f"}}, "'texts' is of length 3, expected 0 to 2"),
        ({"more": 1}, "it has an unknown key 'more', expected one of name, parts"),
        ({"\x1b[2J": 1}, r"unknown key '\\x1b\[2J'"),
    ],
)
def test_record_that_does_not_fit_is_refused_by_name(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_record({"name": "x", "parts": [], **change}, Whole)
    with pytest.raises(ValueError, match="it is 'x', expected an object"):
        parse_record("x", Whole)


def test_seal_tells_of_any_change_but_not_of_another_spelling() -> None:
    record = {"a": [1.0, 2.5, "é"], "b": {"c": None, "d": 3}}
    sealed = seal_record(record)
    respelled = json.loads(json.dumps(sealed, ensure_ascii=False, indent=4, sort_keys=True).replace("1.0", "1"))
    assert open_seal(sealed) == record == open_seal(respelled)
    assert seal_record(sealed) == sealed
    for changed in ({**sealed, "b": {"c": None, "d": 4}}, {**sealed, "e": 1}, {**sealed, SEAL: None}):
        with pytest.raises(ValueError, match="does not belong to its content"):
            open_seal(changed)
    with pytest.raises(ValueError, match=f"no '{SEAL}'"):
        open_seal(record)
