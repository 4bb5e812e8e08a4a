"""Translation of TensorFlow inference graphs into descriptions."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, LayerKind
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.saved_model import arithmetic, sizes
from compress.teachers.saved_model.arithmetic import fold
from compress.teachers.saved_model.dilation import batch_to_space, convolve_apart, space_to_batch
from compress.teachers.saved_model.operation import LayerSizes, SavedOperation
from compress.teachers.saved_model.values import Image, TakenApart, Unknown, Value


@dataclass
class GraphTranslator:
    """Translator of one function and the functions it calls."""

    functions: Mapping[str, Any]
    input_shape: tuple[int | None, int | None, int]
    writer: GraphWriter = field(default_factory=GraphWriter)
    shared: set[str] = field(default_factory=set)
    """Layers whose output several nodes read."""

    def __post_init__(self) -> None:
        self._sizes = LayerSizes(self.writer, self.input_shape)

    def translate(self, name: str, captured: Sequence[np.ndarray | None]) -> str:
        """Translate the serving function; return the name of the layer that is its output.

        Raises:
            UnusableModel: If the output depends on an operation that is not known.
        """
        output = self._call(name, [Image(INPUT), *captured])[0]
        return self._operation(None, [output]).image()

    def _operation(self, node: Any, inputs: list[Value]) -> SavedOperation:
        return SavedOperation(node or _OUTPUT, inputs, self.writer, self._sizes, self.shared)

    def _call(self, name: str, arguments: Sequence[Value]) -> list[Value]:
        function = self.functions[name]
        parameters = [argument.name for argument in function.signature.input_arg]
        values: dict[str, Value] = dict(zip(parameters, arguments, strict=True))
        pending = list(function.node_def)
        # A shape is measured before its image is changed in place, and is the same after.
        uses = Counter(source for node in pending if node.op != "Shape" for source in _sources(node))
        uses.update(_key(result) for result in function.ret.values())
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
        self.shared |= {
            value.layer
            for source, value in zip(sources, inputs, strict=True)
            if isinstance(value, Image) and uses[source] > 1
        }
        if node.op in ("StatefulPartitionedCall", "PartitionedCall"):
            for number, value in enumerate(self._call(node.attr["f"].func.name, inputs)):
                values[node.name if number == 0 else f"{node.name}:{number}"] = value
        elif node.op == "IdentityN":
            for number, value in enumerate(inputs):
                values[node.name if number == 0 else f"{node.name}:{number}"] = value
        elif node.op in _OPERATIONS:
            values[node.name] = _OPERATIONS[node.op](self._operation(node, inputs))
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
    config = {"filters": kernel.shape[3], **_window(operation, kernel)}
    if isinstance(apart := operation.inputs[0], TakenApart):
        return convolve_apart("Conv2D", config, apart, kernel)
    channels = operation.writer.channels(operation.image())
    if kernel.shape[2] and channels > kernel.shape[2]:
        config["groups"] = channels // kernel.shape[2]
    return operation.add("Conv2D", config, kernel=kernel)


def _depthwise(operation: SavedOperation) -> Value:
    kernel = operation.weight(1)
    config = {"depth_multiplier": kernel.shape[3], **_window(operation, kernel)}
    if isinstance(apart := operation.inputs[0], TakenApart):
        return convolve_apart("DepthwiseConv2D", config, apart, kernel)
    return operation.add("DepthwiseConv2D", config, kernel=kernel)


def _transposed(operation: SavedOperation) -> Value:
    kernel = operation.weight(1)
    return operation.add(
        "Conv2DTranspose", {"filters": kernel.shape[2], **_window(operation, kernel)}, 2, kernel=kernel
    )


def _bias(operation: SavedOperation) -> Value:
    return operation.add_bias(operation.image(), operation.weight(1))


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


def _pooling(kind: LayerKind) -> "Callable[[SavedOperation], Value]":
    def write(operation: SavedOperation) -> Value:
        padding = operation.text("padding").lower()
        if padding not in ("same", "valid"):
            raise UnusableModel(f"{operation.node.name} has {padding} padding; expected SAME or VALID.")
        window = {"pool_size": operation.sides("ksize"), "strides": operation.sides("strides"), "padding": padding}
        return operation.add(kind, window)

    return write


def _shuffle(kind: LayerKind) -> "Callable[[SavedOperation], Value]":
    def write(operation: SavedOperation) -> Value:
        if operation.text("data_format") != "NHWC":
            raise UnusableModel(f"{operation.node.name} is {operation.text('data_format')}; expected NHWC.")
        return operation.add(kind, {"block_size": operation.attribute("block_size").i})

    return write


def _constant(operation: SavedOperation) -> Value:
    from tensorflow.python.framework import tensor_util

    return tensor_util.MakeNdarray(operation.attribute("value").tensor)


def _same(operation: SavedOperation) -> Value:
    return operation.inputs[0]


def _cast(operation: SavedOperation) -> Value:
    """Pass on what stays a float; convert stored values."""
    wanted = operation.attribute("DstT").type
    value = operation.inputs[0]
    if not isinstance(value, np.ndarray):
        return value if wanted == _FLOAT else Unknown("Cast to another type than float32")
    from tensorflow import dtypes

    return value.astype(dtypes.as_dtype(wanted).as_numpy_dtype)


_FLOAT = 1
"""Number of float32 among TensorFlow's types."""
_OUTPUT = SimpleNamespace(name="output", op="its last operation")
"""Node by which errors and layers of the output itself are named."""
_OPERATIONS: dict[str, Callable[[SavedOperation], Value]] = {
    "Add": arithmetic.add,
    "AddV2": arithmetic.add,
    "AvgPool": _pooling("AveragePooling2D"),
    "BatchToSpaceND": batch_to_space,
    "BiasAdd": _bias,
    "Cast": _cast,
    "ConcatV2": sizes.concatenate,
    "Const": _constant,
    "Conv2D": _convolution,
    "Conv2DBackpropInput": _transposed,
    "DepthToSpace": _shuffle("DepthToSpace"),
    "DepthwiseConv2dNative": _depthwise,
    "Elu": _activation("elu"),
    "ExpandDims": sizes.expand,
    "FusedBatchNorm": _batch_norm,
    "FusedBatchNormV2": _batch_norm,
    "FusedBatchNormV3": _batch_norm,
    "Identity": _same,
    "LeakyRelu": _leaky_relu,
    "MaxPool": _pooling("MaxPooling2D"),
    "Maximum": fold(np.maximum, arithmetic.maximum),
    "Mean": arithmetic.mean,
    "MirrorPad": _pad,
    "Mul": arithmetic.multiply,
    "Neg": fold(np.negative, arithmetic.negate),
    "Pack": sizes.pack,
    "Pad": _pad,
    "PadV2": _pad,
    "Pow": fold(np.power, arithmetic.power),
    "ReadVariableOp": _same,
    "RealDiv": fold(np.divide, arithmetic.divide),
    "Reciprocal": fold(np.reciprocal, arithmetic.inverse),
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Reshape": sizes.reshape,
    "ResizeBilinear": sizes.resize("bilinear"),
    "ResizeNearestNeighbor": sizes.resize("nearest"),
    "Rsqrt": fold(lambda value: 1 / np.sqrt(value), arithmetic.inverse_root),
    "Selu": _activation("selu"),
    "Shape": sizes.shape_of,
    "Sigmoid": _activation("sigmoid"),
    "SpaceToBatchND": space_to_batch,
    "SpaceToDepth": _shuffle("SpaceToDepth"),
    "Sqrt": fold(np.sqrt, arithmetic.root),
    "Square": fold(np.square, arithmetic.square),
    "SquaredDifference": arithmetic.squared_difference,
    "Squeeze": fold(np.squeeze, arithmetic.squeeze),
    "StopGradient": _same,
    "StridedSlice": sizes.strided_slice,
    "Sub": fold(np.subtract, arithmetic.subtract),
    "Tanh": _activation("tanh"),
    "Tile": sizes.tile,
}
