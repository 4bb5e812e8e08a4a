"""ONNX model as plain data: nodes, stored tensors and the shape of the image, by the field numbers of onnx.proto."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import LAYERS_LIMIT
from compress.teachers.onnx.wire import Message, float_of, parse_message

_MOST_NODES = 10 * LAYERS_LIMIT
"""Most nodes of a graph: exporters write several for a layer, and a constant is one."""
_MOST_DIMENSIONS = 8
TYPES: Mapping[int, str] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8", 12: "<u4",
    13: "<u8",
}  # fmt: skip
"""Types of stored numbers by ONNX's number of them."""
_BFLOAT16 = 16
_FLOAT_DATA, _INT_DATA, _INT64_DATA, _DOUBLE_DATA, _UNSIGNED_DATA = 4, 5, 7, 10, 11
_EXTERNAL = 1


@dataclass(frozen=True)
class Node:
    """One operator's call."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """What is read of a file."""

    version: int
    """Version of ONNX's operators."""
    nodes: tuple[Node, ...]
    stored: Mapping[str, np.ndarray]
    entry: str
    """Name of the image."""
    entry_shape: tuple[int | None, ...]
    output: str


def parse_model(content: bytes) -> Model:
    """Parse an ONNX file.

    Raises:
        UnusableModel: If it is torn, keeps weights in other files, or has not one image in and one out.
    """
    message = parse_message(memoryview(content))
    versions = {one.string(1): one.integer(2) for one in message.messages(8)}
    version = versions.get("", versions.get("ai.onnx"))
    if version is None:
        raise UnusableModel("the ONNX file does not say which version of ONNX's operators it has; it is truncated.")
    graph = message.message(7)
    nodes = tuple(_node(one) for one in _at_most(graph, 1))
    stored = dict(_tensor(one) for one in _at_most(graph, 5))
    entries = [one for one in graph.messages(11) if one.string(1) not in stored]
    outputs = [one.string(1) for one in graph.messages(12)]
    if len(entries) != 1 or len(outputs) != 1:
        raise UnusableModel(
            f"the ONNX graph has {len(entries)} inputs and {len(outputs)} outputs; expected one image in, one out."
        )
    return Model(version, nodes, stored, entries[0].string(1), _shape(entries[0]), outputs[0])


def _at_most(graph: Message, number: int) -> list[Message]:
    if len(graph.fields.get(number, [])) > _MOST_NODES:
        raise UnusableModel(f"the ONNX graph has more than {_MOST_NODES} nodes, more than any generator's.")
    return list(graph.messages(number))


def _shape(entry: Message) -> tuple[int | None, ...]:
    dimensions = entry.message(2).message(1).message(2).messages(1)
    return tuple(one.integer(1) if one.integer(1) > 0 else None for one in dimensions)


def _node(message: Message) -> Node:
    domain, operator = message.string(7), message.string(4)
    return Node(
        operator=operator if domain in ("", "ai.onnx") else f"{domain}.{operator}",
        name=message.string(3) or operator,
        inputs=tuple(message.strings(1)),
        outputs=tuple(message.strings(2)),
        attributes=dict(_attribute(one) for one in message.messages(5)),
    )


def _attribute(message: Message) -> tuple[str, Any]:
    """Return the name and value of an attribute, by the field that holds it; None of a graph or a list of tensors."""
    name, fields = message.string(1), message.fields
    if 2 in fields:
        return name, float_of(message.bytes_of(2))
    if 3 in fields:
        return name, message.integer(3)
    if 4 in fields:
        return name, message.string(4)
    if 5 in fields:
        return name, _tensor(message.message(5))[1]
    if 7 in fields:
        return name, message.floats(7).tolist()
    if 8 in fields:
        return name, message.integers(8)
    # Numbers of value 0 and empty lists may be left out of a file.
    empty: Mapping[int, Any] = {1: 0.0, 2: 0, 3: "", 6: [], 7: []}
    return name, empty.get(message.integer(20))


def _tensor(message: Message) -> tuple[str, np.ndarray]:
    """Return the name and values of a stored tensor; half precision becomes float32."""
    name, dimensions, kind = message.string(8), message.integers(1), message.integer(2)
    shown = printable_name(name) or "a constant"
    if message.integer(14) == _EXTERNAL or 13 in message.fields:
        raise UnusableModel(
            f"{shown} is stored in another file, and such files are not read. Save the model in one file: "
            "onnx.save_model(onnx.load('MODEL'), 'generator.onnx')."
        )
    if kind not in TYPES and kind != _BFLOAT16:
        raise UnusableModel(f"{shown} holds values of type {kind}; expected numbers.")
    if len(dimensions) > _MOST_DIMENSIONS or any(side < 0 for side in dimensions):
        raise UnusableModel(f"{shown} has the shape {dimensions[:9]}; the file is damaged.")
    values = _values(message, kind)
    if values.size != math.prod(dimensions):
        raise UnusableModel(f"{shown} has {values.size} values for the shape {dimensions}; the file is damaged.")
    return name, values.reshape(dimensions)


def _values(message: Message, kind: int) -> np.ndarray:
    raw = message.bytes_of(9)
    if len(raw):
        wanted = np.dtype("<u2" if kind == _BFLOAT16 else TYPES[kind])
        if len(raw) % wanted.itemsize:
            raise UnusableModel("a tensor of the ONNX file ends within a number; the file is damaged.")
        return _as_usual(np.frombuffer(raw, dtype=wanted), kind)
    if _FLOAT_DATA in message.fields:
        return np.asarray(message.floats(_FLOAT_DATA))
    if _DOUBLE_DATA in message.fields:
        parts = b"".join(bytes(part) for part in message.fields[_DOUBLE_DATA] if not isinstance(part, int))
        return np.frombuffer(parts[: len(parts) // 8 * 8], dtype="<f8")
    numbers = message.integers(_INT_DATA) or message.integers(_INT64_DATA) or message.integers(_UNSIGNED_DATA)
    if kind in (10, _BFLOAT16):
        return _as_usual(np.asarray(numbers, np.int64).astype("<u2").view("<f2" if kind == 10 else "<u2"), kind)
    return np.asarray(numbers, np.int64).astype(TYPES[kind])


def _as_usual(values: np.ndarray, kind: int) -> np.ndarray:
    if kind == _BFLOAT16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32) if kind == 10 else values
