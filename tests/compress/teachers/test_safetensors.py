"""safetensors files: damaged headers are refused before their sizes are trusted. Whole ones are in the siblings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableModel
from compress.teachers import read
from compress.teachers.pytorch.safetensors import read_safetensors

Change = Callable[[dict[str, Any]], object]


def _write(path: Path, header: object, content: bytes = bytes(24)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


def _header() -> dict[str, Any]:
    return {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]},
    }


def test_every_tensor_is_float32_with_its_values(tmp_path: Path):
    wanted = np.array([[1.5, -2.0], [0.0, 3.25]], np.float32)
    halves = (wanted.ravel().view(np.uint32) >> 16).astype("<u2")
    read_back = read_safetensors(_write(tmp_path / "a.safetensors", _header(), wanted.tobytes() + halves.tobytes()))
    np.testing.assert_array_equal(read_back["a"], wanted)
    np.testing.assert_array_equal(read_back["b"], wanted.ravel())
    assert {array.dtype for array in read_back.values()} == {np.dtype("float32")}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header["b"].update(data_offsets=[12, 20]), "overlap or leave gaps"),
        (lambda header: header["a"].update(data_offsets=[0, 20], shape=[5]), "overlap or leave gaps"),
        (lambda header: header.pop("a"), "overlap or leave gaps"),
        (lambda header: header.pop("b"), "take 16 bytes, but 24 follow"),
        (lambda header: header["a"].update(shape=[2, 3]), "takes 16 bytes, not those of its shape"),
        (lambda header: header["a"].update(shape=[2**40, 2**40]), "not those of its shape"),
        (lambda header: header["a"].update(shape=[-2, -2]), "odd shape or place"),
        (lambda header: header["a"].update(shape=[2.0, 2]), "odd shape or place"),
        (lambda header: header["a"].update(shape=[True, 4]), "odd shape or place"),
        (lambda header: header["a"].update(data_offsets=[16]), "odd shape or place"),
        (lambda header: header["a"].update(data_offsets=[16, 0]), "not those of its shape"),
        (lambda header: header["a"].update(dtype="F8_E4M3"), r"is F8_E4M3; expected .*Save it as F32"),
        (lambda header: header["a"].update(dtype=["F32"]), "expected F64"),
        (lambda header: header["a"].update(more=1), "no dtype, shape and data_offsets"),
        (lambda header: header.update(a=[1, 2]), "no dtype, shape and data_offsets"),
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, change: Change, words: str):
    header = _header()
    change(header)
    with pytest.raises(UnusableModel, match=words):
        read.describe(_write(tmp_path / "a.safetensors", header))


@pytest.mark.parametrize(
    ("header", "content", "words"),
    [
        (b'{"a":', bytes(24), "header is damaged"),
        (b'{"a": NaN}', bytes(24), "header is damaged"),
        (b'{"a": 1, "a": 2}', bytes(24), "header is damaged"),
        (json.dumps(_header()).encode(), bytes(20), "take 24 bytes, but 20 follow"),
        (json.dumps(_header()).encode(), bytes(25), "take 24 bytes, but 25 follow"),
    ],
)
def test_a_torn_file_is_refused(tmp_path: Path, header: bytes, content: bytes, words: str):
    with pytest.raises(UnusableModel, match=words):
        read.describe(_write(tmp_path / "a.safetensors", header, content))


def test_a_header_that_declares_more_than_the_file_is_refused(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes((50 << 20).to_bytes(8, "little") + b'{"a"')
    with pytest.raises(UnusableModel, match="declares 52,428,800 bytes"):
        read.describe(tmp_path / "a.safetensors")


def test_tensors_of_no_generator_are_named(tmp_path: Path):
    with pytest.raises(UnusableModel, match=r"no generator known.*2 entries \(a, b"):
        read.describe(_write(tmp_path / "a.safetensors", _header()))
