"""Arithmetic of stored values in an ONNX graph, by which exporters compute paddings and shapes."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress.teachers.onnx.call import OnnxCall
from compress.teachers.onnx.model import TYPES

_MOST_VALUES = 1 << 24
"""Most values that are computed here at a time; a large filter has as many."""


def constant(call: OnnxCall) -> np.ndarray:
    """Return the value of a `Constant`."""
    for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if (value := call.attribute(name)) is not None:
            return np.asarray(value, None if name == "value" else np.float32 if "float" in name else np.int64)
    raise call.error("holds no numbers.")


def fold(call: OnnxCall) -> np.ndarray | None:
    """Compute an operator whose inputs are all stored; None for one that is not known here.

    Raises:
        UnusableModel: If it makes more values than any generator needs, or does not fit its inputs.
    """
    operator = call.node.operator
    stored = [value for value in call.inputs if isinstance(value, np.ndarray)]
    if operator not in {**_ELEMENTWISE, **_FOLDED} or not stored or len(stored) != len(call.inputs):
        return None
    try:
        if _most_values(call, stored) > _MOST_VALUES:
            raise call.error("makes more values than any generator needs.")
        with np.errstate(all="ignore"):
            if operator in _ELEMENTWISE:
                return np.asarray(_ELEMENTWISE[operator](*stored))
            return np.asarray(_FOLDED[operator](call, *stored))
    except (ValueError, IndexError, TypeError) as error:
        raise call.error(f"does not fit its inputs ({error}).") from error


def _most_values(call: OnnxCall, stored: Sequence[np.ndarray]) -> float:
    """Return the most values that an operator makes of stored ones."""
    if call.node.operator in _ELEMENTWISE:
        return math.prod(np.broadcast_shapes(*(value.shape for value in stored)))
    if call.node.operator == "ConstantOfShape":
        return float(np.prod(np.maximum(stored[0], 0), dtype=float))
    if call.node.operator == "Gather" and len(stored) == 2:
        return float(stored[0].size) * stored[1].size
    return sum(value.size for value in stored)


def _filled(call: OnnxCall, shape: np.ndarray) -> np.ndarray:
    value = call.attribute("value", np.zeros(1, np.float32))
    return np.full(shape.reshape(-1).tolist(), value.reshape(-1)[0])


def _slice(call: OnnxCall, data: np.ndarray, *bounds: np.ndarray) -> np.ndarray:
    starts, ends, axes, steps = (bound.reshape(-1).tolist() for bound in (*bounds, *[np.array([])] * (4 - len(bounds))))
    if not bounds:
        starts, ends, axes = (call.attribute(name) or [] for name in ("starts", "ends", "axes"))
    found = [slice(None)] * data.ndim
    for number, axis in enumerate(axes or range(len(starts))):
        found[axis] = slice(starts[number], ends[number], steps[number] if steps else None)
    # A slice that runs backwards to before the first takes all.
    whole = [
        slice(one.start, None, one.step) if one.step is not None and one.step < 0 and one.stop < -1 - side else one
        for one, side in zip(found, data.shape, strict=True)
    ]
    return data[tuple(whole)]


def _axes(call: OnnxCall, rest: tuple[np.ndarray, ...]) -> list[int]:
    return rest[0].reshape(-1).tolist() if rest else list(call.attribute("axes") or [])


def _unsqueeze(call: OnnxCall, data: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    return np.expand_dims(data, tuple(_axes(call, rest)))


def _squeeze(call: OnnxCall, data: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    return np.squeeze(data, tuple(_axes(call, rest)) or None)


def _cast(call: OnnxCall, data: np.ndarray) -> np.ndarray:
    wanted = TYPES.get(call.attribute("to"))
    if wanted is None:
        raise call.error(f"converts to type {call.attribute('to')}; expected numbers.")
    return data.astype(wanted)


def _divide(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one // other if one.dtype.kind in "iu" else one / other


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Div": _divide,
    "Exp": np.exp,
    "Identity": np.asarray,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
}
_FOLDED: dict[str, Callable[..., Any]] = {
    "Cast": _cast,
    "Concat": lambda call, *parts: np.concatenate(parts, axis=call.attribute("axis", 0)),
    "ConstantOfShape": _filled,
    "Gather": lambda call, data, index: np.take(data, index, axis=call.attribute("axis", 0)),
    "Reshape": lambda _, data, shape: data.reshape(shape.reshape(-1).tolist()),
    "Shape": lambda _, one: np.asarray(one.shape, np.int64),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": lambda call, data: data.transpose(call.attribute("perm")),
    "Unsqueeze": _unsqueeze,
}
