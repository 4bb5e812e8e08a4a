"""Translation of TensorFlow inference graphs into descriptions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.saved_model import arithmetic
from compress.teachers.saved_model.arithmetic import fold
from compress.teachers.saved_model.operation import SavedOperation, unknown_value_error
from compress.teachers.saved_model.values import Image, SizeOf, Unknown, Value


@dataclass
class GraphTranslator:
    """Translator of one function and the functions it calls."""

    functions: Mapping[str, Any]
    writer: GraphWriter = field(default_factory=GraphWriter)

    def translate(self, name: str, captured: Sequence[np.ndarray | None]) -> str:
        """Translate the serving function; return the name of the layer that is its output.

        Raises:
            UnusableModel: If the output depends on an operation that is not known.
        """
        output = self._call(name, [Image(INPUT), *captured])[0]
        if not isinstance(output, Image):
            raise unknown_value_error(output)
        return output.layer

    def _call(self, name: str, arguments: Sequence[Value]) -> list[Value]:
        function = self.functions[name]
        parameters = [argument.name for argument in function.signature.input_arg]
        values: dict[str, Value] = dict(zip(parameters, arguments, strict=True))
        pending = list(function.node_def)
        uses = Counter(source for node in pending for source in _sources(node))
        while pending:
            waiting = [node for node in pending if not self._evaluate(node, values, uses)]
            if len(waiting) == len(pending):
                raise UnusableModel(f"the graph's {waiting[0].name} is fed by nothing; the file is damaged.")
            pending = waiting
        return [values.get(_key(function.ret[output.name])) for output in function.signature.output_arg]

    def _evaluate(self, node: Any, values: dict[str, Value], uses: Mapping[str, int]) -> bool:
        sources = _sources(node)
        if any(source not in values for source in sources):
            return False
        inputs = [values[source] for source in sources]
        if node.op in ("StatefulPartitionedCall", "PartitionedCall"):
            for number, value in enumerate(self._call(node.attr["f"].func.name, inputs)):
                values[node.name if number == 0 else f"{node.name}:{number}"] = value
        elif node.op in _OPERATIONS:
            values[node.name] = _OPERATIONS[node.op](
                SavedOperation(node, inputs, self.writer, shared=any(uses[source] > 1 for source in sources))
            )
        else:
            values[node.name] = Unknown(node.op)
        return True


def _sources(node: Any) -> list[str]:
    # A name after ^ is waited for, not read.
    return [_key(source) for source in node.input if not source.startswith("^")]


def _key(reference: str) -> str:
    """Return a result's key: `conv/Conv2D:output:0` is `conv/Conv2D`; later results keep their number."""
    name, _, result = reference.partition(":")
    number = result.rpartition(":")[2] if result else "0"
    return name if number in ("0", "") else f"{name}:{number}"


def _window(operation: SavedOperation, kernel: np.ndarray) -> dict[str, Any]:
    padding = operation.text("padding").lower()
    if padding not in ("same", "valid"):
        raise UnusableModel(f"{operation.node.name} has {padding} padding; expected SAME or VALID.")
    return {
        "kernel_size": list(kernel.shape[:2]),
        "strides": operation.sides("strides"),
        "dilation_rate": operation.sides("dilations"),
        "padding": padding,
        "use_bias": False,
    }


def _convolution(operation: SavedOperation) -> Value:
    kernel = operation.weight(1)
    return operation.add("Conv2D", {"filters": kernel.shape[3], **_window(operation, kernel)}, kernel=kernel)


def _depthwise(operation: SavedOperation) -> Value:
    kernel = operation.weight(1)
    config = {"depth_multiplier": kernel.shape[3], **_window(operation, kernel)}
    return operation.add("DepthwiseConv2D", config, kernel=kernel)


def _transposed(operation: SavedOperation) -> Value:
    kernel = operation.weight(1)
    return operation.add(
        "Conv2DTranspose", {"filters": kernel.shape[2], **_window(operation, kernel)}, 2, kernel=kernel
    )


def _bias(operation: SavedOperation) -> Value:
    return operation.add_bias(operation.image(), operation.array(1))


def _batch_norm(operation: SavedOperation) -> Value:
    gamma, beta = operation.weight(1), operation.weight(2)
    epsilon = {"epsilon": operation.attribute("epsilon").f}
    if operation.attribute("is_training").b:
        # The statistics of a batch of one image are that image's.
        return operation.add("InstanceNormalization", epsilon, gamma=gamma, beta=beta)
    moving = {"moving_mean": operation.weight(3), "moving_variance": operation.weight(4)}
    return operation.add("BatchNormalization", epsilon, gamma=gamma, beta=beta, **moving)


def _pad(operation: SavedOperation) -> Value:
    mode = operation.text("mode") if operation.node.op == "MirrorPad" else "CONSTANT"
    amounts = operation.array(1)
    if amounts.shape != (4, 2) or amounts[[0, 3]].any() or mode == "SYMMETRIC":
        raise UnusableModel(f"{operation.node.name} pads {amounts.tolist()} in mode {mode}; expected REFLECT or zeros.")
    if len(operation.inputs) > 2 and operation.array(2).any():
        raise UnusableModel(f"{operation.node.name} pads with {operation.array(2)}; expected zeros.")
    kind: LayerKind = "ReflectionPadding2D" if mode == "REFLECT" else "ZeroPadding2D"
    return operation.add(kind, {"padding": amounts[1:3].tolist()})


def _activation(name: str) -> "Callable[[SavedOperation], Value]":
    return lambda operation: operation.add("Activation", {"activation": name})


def _leaky_relu(operation: SavedOperation) -> Value:
    return operation.add("LeakyReLU", {"negative_slope": operation.attribute("alpha").f})


def _concatenate(operation: SavedOperation) -> Value:
    *images, axis = operation.inputs
    if not isinstance(axis, np.ndarray) or int(axis) not in (-1, 3):
        return Unknown("ConcatV2 along another axis than channels")
    return operation.add("Concatenate", {"axis": -1}, *range(len(images)))


def _size_of(operation: SavedOperation) -> Value:
    value = operation.inputs[0]
    return SizeOf(value.layer) if isinstance(value, Image) else value


def _resize(interpolation: str) -> "Callable[[SavedOperation], Value]":
    def write(operation: SavedOperation) -> Value:
        size = operation.inputs[1]
        centred = operation.attribute("half_pixel_centers").b and not operation.attribute("align_corners").b
        if not isinstance(size, SizeOf) or size.image != operation.image() or not centred:
            return Unknown(f"{operation.node.op} to a size that is no multiple of its image's")
        return operation.add("UpSampling2D", {"size": list(size.factors), "interpolation": interpolation})

    return write


def _constant(operation: SavedOperation) -> Value:
    from tensorflow.python.framework import tensor_util

    return tensor_util.MakeNdarray(operation.attribute("value").tensor)


def _same(operation: SavedOperation) -> Value:
    return operation.inputs[0]


_OPERATIONS: dict[str, Callable[[SavedOperation], Value]] = {
    "Add": fold(np.add, arithmetic.add),
    "AddV2": fold(np.add, arithmetic.add),
    "BiasAdd": _bias,
    "ConcatV2": _concatenate,
    "Const": _constant,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthwiseConv2dNative": _depthwise,
    "Elu": _activation("elu"),
    "FusedBatchNormV3": _batch_norm,
    "Identity": _same,
    "LeakyRelu": _leaky_relu,
    "MirrorPad": _pad,
    "Mean": arithmetic.mean,
    "Mul": fold(np.multiply, arithmetic.multiply),
    "Pad": _pad,
    "PadV2": _pad,
    "ReadVariableOp": _same,
    "RealDiv": fold(np.divide),
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Reshape": fold(np.reshape),
    "ResizeBilinear": _resize("bilinear"),
    "ResizeNearestNeighbor": _resize("nearest"),
    "Rsqrt": fold(lambda value: 1 / np.sqrt(value), arithmetic.inverse_root),
    "Selu": _activation("selu"),
    "Shape": _size_of,
    "Sigmoid": _activation("sigmoid"),
    "Sqrt": fold(np.sqrt),
    "SquaredDifference": arithmetic.squared_difference,
    "Squeeze": fold(np.squeeze),
    "StopGradient": _same,
    "StridedSlice": _size_of,
    "Sub": fold(np.subtract, arithmetic.subtract),
    "Tanh": _activation("tanh"),
}
