"""Reader of ONNX files: the graph's nodes in order, each into layers."""

from collections.abc import Callable
from pathlib import Path

from compress.errors import UnusableModel
from compress.printable import printable_name
from compress.teachers.description import INPUT, GeneratorDescription
from compress.teachers.graph_writer import GraphWriter
from compress.teachers.onnx import constants, convolutions, operators
from compress.teachers.onnx.call import Groups, Image, OnnxCall, Value
from compress.teachers.onnx.model import Model, Node, parse_model
from compress.teachers.reading.config import AS_FOUND, ReadingConfig
from compress.teachers.reading.found_layers import refuse_layer_as, tell_layers

FORMAT = "ONNX"
_BYTES_LIMIT = 2 << 30
"""Largest file: what one message of protocol buffers can hold."""


def describe(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Describe the generator in an ONNX file.

    Raises:
        UnusableModel: If it is torn, or its graph is not of a generator's operators.
        UsageError: If the user says how borders are padded, which the file does.
    """
    refuse_layer_as(reading)
    size_bytes = path.stat().st_size
    if size_bytes > _BYTES_LIMIT:
        raise UnusableModel(f"the ONNX file has {size_bytes / 1e9:.1f} GB, more than any generator's.")
    model = parse_model(path.read_bytes())
    shape, channels_last = _image_shape(model)
    writer = GraphWriter()
    values: dict[str, Value] = {**model.stored, model.entry: Image(INPUT, channels_last)}
    for node in model.nodes:
        _evaluate(node, model, writer, values)
    output = values.get(model.output)
    if not isinstance(output, Image) or output.channels_last != channels_last:
        raise UnusableModel("the ONNX graph's output is no image in the order of axes of its input.")
    return tell_layers(writer.finish(f"{FORMAT} (.onnx)", shape, output.layer), reading)


def _image_shape(model: Model) -> tuple[tuple[int | None, int | None, int], bool]:
    """Return height, width and channels of the image, and whether the graph has the channels last."""
    shape = model.entry_shape
    if len(shape) == 4 and shape[1] == 3:
        return (shape[2], shape[3], 3), False
    if len(shape) == 4 and shape[3] == 3:
        return (shape[1], shape[2], 3), True
    raise UnusableModel(f"the ONNX graph takes {list(shape)}; expected images (batch, 3, height, width).")


def _evaluate(node: Node, model: Model, writer: GraphWriter, values: dict[str, Value]) -> None:
    """Keep the value of a node's first output; no operator known here has an image in another."""
    missing = [name for name in node.inputs if name and name not in values]
    if missing:
        raise UnusableModel(
            f"{printable_name(node.name)} is fed by {printable_name(missing[0])}, which is made by nothing before it."
        )
    if not node.outputs:
        raise UnusableModel(f"{printable_name(node.name)} ({printable_name(node.operator)}) makes nothing.")
    inputs = tuple(values[name] if name else None for name in node.inputs)
    call = OnnxCall(node, inputs, writer, model.version)
    values[node.outputs[0]] = _value_of(call)


def _value_of(call: OnnxCall) -> Value:
    if call.node.operator in _INTEGER_OPERATORS:
        raise call.error("belongs to an int8 file, which is not read. Pass the float model that it was made from.")
    if call.node.operator == "Constant":
        return constants.constant(call)
    folded = constants.fold(call)
    if folded is not None:
        return folded
    # A shape and what is computed of it are unknown, which is harmless until an image depends on them.
    if call.node.operator == "Shape" or not any(isinstance(value, (Image, Groups)) for value in call.inputs):
        return None
    rule = _OPERATORS.get(call.node.operator)
    if rule is None:
        raise call.error(
            f"is an operator that is not known here; known are {', '.join(sorted(_OPERATORS))}. Save the generator in "
            "the format that it was trained in."
        )
    return rule(call)


_INTEGER_OPERATORS = frozenset(
    {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QuantizeLinear"}
)
"""Operators whose integers would be taken for real values, or for shapes."""
_OPERATORS: dict[str, Callable[[OnnxCall], Value]] = {
    "Add": operators.arithmetic("add"),
    "AveragePool": convolutions.pooling("AveragePooling2D"),
    "BatchNormalization": operators.batch_norm,
    "Cast": operators.pass_on,
    "Clip": operators.clip,
    "Concat": operators.concatenate,
    "Conv": convolutions.convolution,
    "ConvTranspose": convolutions.transposed_convolution,
    "DepthToSpace": operators.depth_to_space,
    "Div": operators.arithmetic("divide"),
    "Dropout": operators.pass_on,
    "Elu": operators.elu,
    "GlobalAveragePool": convolutions.global_pooling,
    "GroupNormalization": operators.group_norm,
    "Identity": operators.pass_on,
    "InstanceNormalization": operators.instance_norm,
    "LeakyRelu": operators.leaky_relu,
    "MaxPool": convolutions.pooling("MaxPooling2D"),
    "Mul": operators.arithmetic("multiply"),
    "PRelu": operators.prelu,
    "Pad": convolutions.padding,
    "ReduceMean": convolutions.mean,
    "Relu": operators.activation("relu"),
    "Reshape": operators.reshape,
    "Resize": operators.resize,
    "Selu": operators.activation("selu"),
    "Sigmoid": operators.activation("sigmoid"),
    "SpaceToDepth": operators.space_to_depth,
    "Sub": operators.arithmetic("subtract"),
    "Tanh": operators.activation("tanh"),
    "Transpose": operators.transpose,
    "Upsample": operators.resize,
}
