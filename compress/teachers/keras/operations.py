"""Writers of functions called on tensors: TensorFlow's in Keras 2 files (`TFOpLambda`), `keras.ops` in Keras 3."""

import base64
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.composed.scaling import write_scaling
from compress.teachers.description import LayerKind
from compress.teachers.keras.config import Call
from compress.teachers.keras.layer_writer import Handler, LayerWriter, spatial_pairs, write_activation
from compress.teachers.keras.scaling import write_arithmetic

_TENSORFLOW_CLASSES = ("TFOpLambda", "TensorFlowOpLayer")


def is_operation(call: Call) -> bool:
    """Check whether a call is of a function instead of a layer."""
    return call.class_name in _TENSORFLOW_CLASSES or ".ops." in f"{call.package}."


def is_known_operation(call: Call) -> bool:
    """Check whether a call's class alone names a known function; a padding of a user's has other settings."""
    name = _snake_case(call.class_name)
    return name in _OPERATIONS and (name != "pad" or "pad_width" in {*call.config, *call.arguments})


def write_operation(layer: LayerWriter) -> str:
    """Write a function's call.

    Raises:
        UnusableModel: If the function is not known, or its arguments are not those of a generator.
    """
    name = _operation_name(layer.call)
    if name not in _OPERATIONS:
        raise layer.error(f"calls {name}, which is not known here.")
    return _OPERATIONS[name](layer)


def _operation_name(call: Call) -> str:
    """Return the function's name in snake case: `pad` for `compat.v1.pad`, `Pad` and `MirrorPad`."""
    if call.class_name == "TFOpLambda":
        return str(call.config["function"]).rpartition(".")[2]
    written = _node(call)["op"] if call.class_name == "TensorFlowOpLayer" else call.class_name
    return _snake_case(written)


def _snake_case(name: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _node(call: Call) -> dict[str, Any]:
    """Return the graph node that Keras of TensorFlow 2.0 to 2.3 keeps of a function's call."""
    return json.loads(call.config["node_def"])


def _setting(layer: LayerWriter, name: str, default: Any) -> Any:
    return layer.call.arguments.get(name, layer.config.get(name, default))


def _write_pad(layer: LayerWriter) -> str:
    amounts = _setting(layer, "paddings", _setting(layer, "pad_width", None))
    mode = str(_setting(layer, "mode", "constant")).lower()
    return _write_padding(layer, amounts, mode)


def _write_node_pad(layer: LayerWriter) -> str:
    node = _node(layer.call)
    mode = (
        base64.b64decode(node["attr"]["mode"]["s"]).decode().lower() if "mode" in node.get("attr", {}) else "constant"
    )
    return _write_padding(layer, layer.config["constants"]["1"], mode)


def _write_padding(layer: LayerWriter, amounts: Any, mode: str) -> str:
    kinds: dict[str, LayerKind] = {
        "reflect": "ReflectionPadding2D",
        "constant": "ZeroPadding2D",
        "edge": "ReplicationPadding2D",
    }
    if mode not in kinds or _setting(layer, "constant_values", 0) not in (0, None):
        raise layer.error(f"pads in mode {mode.upper()}; expected REFLECT, EDGE, or CONSTANT with zeros.")
    return layer.add(kinds[mode], {"padding": spatial_pairs(layer, amounts)})


def _arithmetic(operation: str) -> Handler:
    def write(layer: LayerWriter) -> str:
        if len(layer.inputs) == 1:
            return write_arithmetic(layer, operation, _constant_of(layer))
        return write_merge(layer, operation)

    return write


def write_merge(layer: LayerWriter, operation: str) -> str:
    """Write the sum, the product or the difference of images."""
    kinds: dict[str, LayerKind] = {"add": "Add", "multiply": "Multiply", "subtract": "Add"}
    if operation not in kinds:
        raise layer.error("divides an image by an image.")
    if operation != "subtract":
        return layer.add(kinds[operation], {})
    first, second = layer.inputs
    negated = write_scaling(layer.graph, second, np.array(-1.0), np.array(0.0), name=f"{layer.label}_negated")
    return replace(layer, inputs=(first, negated)).add("Add", {})


def _constant_of(layer: LayerWriter) -> Any:
    """Return the constant of an image's arithmetic with one: by position, by keyword, or of a graph's node."""
    held = [*layer.call.constants, *(layer.call.arguments[name] for name in ("x", "y") if name in layer.call.arguments)]
    held += list((layer.config.get("constants") or {}).values())
    if len(held) != 1:
        raise layer.error("combines an image with no constant; expected two images, or one and a constant.")
    return held[0]


def write_constant_merge(layer: LayerWriter, operation: str) -> str:
    """Write a sum or product that a Keras 3 `.h5` names as a layer, of one image and a constant."""
    return write_arithmetic(layer, operation, _constant_of(layer))


def _write_concatenation(layer: LayerWriter) -> str:
    axis = _setting(layer, "axis", 0 if layer.call.class_name == "TFOpLambda" else -1)
    if axis not in (-1, 3):
        raise layer.error(f"joins along axis {axis}; expected channels, the last.")
    return layer.add("Concatenate", {"axis": -1})


def _activation(name: str) -> Handler:
    return lambda layer: write_activation(layer, name)


def _write_leaky_relu(layer: LayerWriter) -> str:
    slope = _setting(layer, "negative_slope", _setting(layer, "alpha", 0.2))
    return layer.add("LeakyReLU", {"negative_slope": float(slope)})


def _shuffle(kind: LayerKind) -> Handler:
    return lambda layer: layer.add(kind, {"block_size": _setting(layer, "block_size", 0)})


def _pass_on(layer: LayerWriter) -> str:
    if len(layer.inputs) != 1:
        raise UnusableModel(f"{layer.label} has {len(layer.inputs)} inputs; expected one.")
    return layer.inputs[0]


_OPERATIONS: dict[str, Handler] = {
    "pad": _write_pad,
    "mirror_pad": _write_node_pad,
    "pad_v2": _write_node_pad,
    **dict.fromkeys(("add", "add_v2"), _arithmetic("add")),
    **dict.fromkeys(("multiply", "mul"), _arithmetic("multiply")),
    **dict.fromkeys(("subtract", "sub"), _arithmetic("subtract")),
    **dict.fromkeys(("divide", "true_divide", "truediv", "div", "real_div"), _arithmetic("divide")),
    "cast": _pass_on,
    "concat": _write_concatenation,
    "concatenate": _write_concatenation,
    "leaky_relu": _write_leaky_relu,
    "depth_to_space": _shuffle("DepthToSpace"),
    "space_to_depth": _shuffle("SpaceToDepth"),
    "identity": _pass_on,
    **{name: _activation(name) for name in ("relu", "relu6", "tanh", "sigmoid", "elu", "selu", "silu", "swish")},
}
