"""Reader of safetensors files: a length, a JSON header and bytes; each size is checked before any of it is trusted.

The format is https://github.com/huggingface/safetensors#format.
"""

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from compress.errors import UnusableModel
from compress.strict_json import MOST_BYTES, parse_json

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1", "BOOL": "<u1",
}  # fmt: skip
"""NumPy's type of each; a bfloat16 is the upper half of a float32."""


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read all tensors of a file.

    Returns:
        Each as float32, by its name.

    Raises:
        UnusableModel: If the header is damaged, or tensors overlap, leave gaps or do not fit the file.
    """
    with path.open("rb") as stream:
        header_bytes = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if header_bytes > MOST_BYTES:
            raise UnusableModel(f"its header declares {header_bytes:,} bytes; the file is damaged.")
        header = _parse(stream.read(header_bytes))
        start = _LENGTH_BYTES + header_bytes
        entries = {name: _Entry(name, entry) for name, entry in header.items() if name != _METADATA}
        _check_places(list(entries.values()), path.stat().st_size - start)
        return {name: entry.read(stream, start) for name, entry in entries.items()}


def _parse(header: bytes) -> dict[str, Any]:
    try:
        parsed = parse_json(header)
    except ValueError as error:
        raise UnusableModel(f"its header is damaged: {error}.") from error
    if not isinstance(parsed, dict):
        raise UnusableModel("its header is no JSON object; the file is damaged.")
    return parsed


class _Entry:
    """One tensor's type, shape, and place among the bytes behind the header."""

    def __init__(self, name: str, entry: Any) -> None:
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise UnusableModel(f"tensor {name} has no dtype, shape and data_offsets; the file is damaged.")
        self.shape, offsets = entry["shape"], entry["data_offsets"]
        if not _are_counts(self.shape) or not _are_counts(offsets) or len(offsets) != 2:
            raise UnusableModel(f"tensor {name} has an odd shape or place; the file is damaged.")
        if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
            raise UnusableModel(f"tensor {name} is {entry['dtype']}; expected {', '.join(_DTYPES)}. Save it as F32.")
        self.dtype, (self.begin, self.end) = entry["dtype"], offsets
        if self.end - self.begin != math.prod(self.shape) * np.dtype(_DTYPES[self.dtype]).itemsize:
            raise UnusableModel(f"tensor {name} takes {self.end - self.begin} bytes, not those of its shape.")

    def read(self, stream: BinaryIO, start: int) -> np.ndarray:
        stream.seek(start + self.begin)
        stored = np.frombuffer(stream.read(self.end - self.begin), _DTYPES[self.dtype]).reshape(self.shape)
        if self.dtype == "BF16":
            return (stored.astype(np.uint32) << 16).view(np.float32)
        return stored.astype(np.float32)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_places(entries: list[_Entry], size_bytes: int) -> None:
    """Refuse tensors that overlap, leave bytes unused, or lie outside of the file."""
    place = 0
    for entry in sorted(entries, key=lambda one: (one.begin, one.end)):
        if entry.begin != place:
            raise UnusableModel("its tensors overlap or leave gaps; the file is damaged.")
        place = entry.end
    if place != size_bytes:
        raise UnusableModel(f"its tensors take {place:,} bytes, but {size_bytes:,} follow the header; it is truncated.")
