"""A deploy graph becomes a `.tflite` file: fp32, fp16 or int8 weights, or full int8."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.config import IoType
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, TensorScale
from export.interpreter.image_tensor import UNIT_SUFFIX
from export.tflite.file import SIGNATURE, Subgraph, TfliteFile, quantization_parameters
from export.tflite.metadata import ENTRY, ImageMetadata, ModelMetadata, build_metadata
from export.tflite.operators import EmitContext, FloatWeights, emit

BYTE_SCALE = TensorScale(1 / 127.5, 128)
"""Scale that a uint8 input or output declares: byte b is about (b - 128) / 127.5. Training's b / 127.5 - 1 lies half a
step higher, where no integer zero point can be; the file adds that half step, so that it computes the same as with a
float input and output."""
_HALF_STEP = 0.5 / 127.5
INTEGER_BYTE_SCALE = TensorScale(1 / 128, 128)
"""Scale of uint8 ends that integer arithmetic alone reaches: byte b stands for the integer b - 128, without the half
step. For NPUs, to which a float ADD at either end is an island."""
UNIT_BYTE_SCALE = TensorScale(1 / 255, 0)
"""Scale of a uint8 output whose real values lie in 0..1."""
PIXEL_RANGES: Mapping[IoType, tuple[float, float]] = {
    "float": (-1.0, 1.0),
    "int8": (-128.0, 127.0),
    "uint8": (0.0, 255.0),
}
"""Values of a black and of a white pixel in a file's input and output."""
DEFAULT_METADATA = ModelMetadata()
_PHOTO, _PICTURE = "RGB photo.", "RGB picture; (value - mean) / std is a byte."


@dataclass(frozen=True)
class _Ends:
    """The type of a file's input and output, and how they are reached; see `float_file` and `int8_file`."""

    io_type: IoType
    integer: bool = False
    unit_output: bool = False


def float_file(
    graph: Graph,
    weights: FloatWeights = "fp32",
    metadata: ModelMetadata = DEFAULT_METADATA,
    *,
    others: Sequence[Graph] = (),
    unit_output: bool = False,
    byte_ends: bool = False,
) -> bytes:
    """Emit a graph whose activations are float.

    Args:
        graph: The graph at the usual size.
        weights: Storage of kernels: fp32; float16 behind a DEQUANTIZE, which a delegate undoes once, when it loads the
            file; or int8, for kernels that quantise each image's activations on the way ("dynamic").
        metadata: Texts about the file.
        others: The same generator at other sizes, each under a signature of its own, see `signature_of`.
        unit_output: Whether the output lies in 0..1, as MediaPipe's tasks read a float image.
        byte_ends: Whether inputs and output are uint8 and reached by `BYTE_SCALE` alone, half a step low: for a graph
            whose output is shifted by what all its inputs are.
    """
    file = TfliteFile()
    for each in (graph, *others):
        suffix = "_float" if byte_ends else ""
        context = EmitContext(_add_subgraph(file, each, graph), each, weights=weights, suffix=suffix)
        taken = {name: _add_filled(context, name, byte_ends=byte_ends) for name in each.inputs}
        for operation in each.operations:
            emit(operation, context)
        made = context.tensor(each.output)
        if unit_output:
            made = _add_unit_output(context, made)
        if byte_ends:
            real, made = made, _add_bytes(context, each.output)
            context.file.add_operator("QUANTIZE", 1, [real], made)
        context.file.close(taken, {each.output: made})
    ends = _Ends("uint8" if byte_ends else "float", unit_output=unit_output)
    return file.finish(metadata.description, _metadata_buffer([graph, *others], ends, metadata))


def int8_file(
    quantized: QuantizedGraph,
    io_type: IoType,
    metadata: ModelMetadata = DEFAULT_METADATA,
    *,
    others: Sequence[QuantizedGraph] = (),
    integer_ends: bool = False,
    unit_output: bool = False,
) -> bytes:
    """Emit a quantised graph whose input and output are float, int8 or uint8; `others` as in `float_file`.

    Args:
        quantized: The graph at the usual size.
        io_type: Type of input and output.
        metadata: Texts about the file.
        others: The same generator at other sizes.
        integer_ends: Whether uint8 ends are reached by QUANTIZE alone, see `INTEGER_BYTE_SCALE`.
        unit_output: Whether the output's real values lie in 0..1, as in `float_file`.
    """
    ends = _Ends(io_type, integer=integer_ends, unit_output=unit_output)
    file = TfliteFile()
    for each in (quantized, *others):
        graph = each.graph
        subgraph = _add_subgraph(file, graph, quantized.graph)
        context = EmitContext(subgraph, graph, quantized=each, suffix="" if io_type == "int8" else "_int8")
        image = _add_input(context, ends)
        for operation in graph.operations:
            emit(operation, context)
        subgraph.close({graph.input: image}, {graph.output: _add_output(context, ends)})
    graphs = [each.graph for each in (quantized, *others)]
    return file.finish(metadata.description, _metadata_buffer(graphs, ends, metadata))


def signature_of(graph: Graph) -> str:
    """Return the signature that runs another size than the usual one: `translate_256x256`, height and width."""
    height, width, _ = graph.input_shape
    return f"translate_{height}x{width}"


def _add_subgraph(file: TfliteFile, graph: Graph, usual: Graph) -> Subgraph:
    return file.add_subgraph(SIGNATURE if graph is usual else signature_of(graph))


def _add_filled(context: EmitContext, name: str, *, byte_ends: bool) -> int:
    """Add a tensor that a caller fills, of which the graph reads floats; return it."""
    real = context.tensor(name)
    if not byte_ends:
        return real
    filled = _add_bytes(context, name)
    context.file.add_operator("DEQUANTIZE", 1, [filled], real)
    return filled


def _add_input(context: EmitContext, ends: _Ends) -> int:
    """Add the tensor that a caller fills, and the operators that turn it into int8; return that tensor.

    Bytes become float on the way: XNNPACK takes both of these operators, but no QUANTIZE from uint8 to int8. The same
    holds for `_add_output`.
    """
    file, name = context.file, context.graph.input
    inside = context.tensor(name)
    if ends.io_type == "int8":
        return inside
    if ends.io_type == "uint8" and ends.integer:
        filled = _add_bytes(context, name, INTEGER_BYTE_SCALE)
        file.add_operator("QUANTIZE", 1, [filled], inside)
        return filled
    if ends.io_type == "float":
        filled = real = _add_float(context, name)
    else:
        filled, shifted = _add_bytes(context, name), _add_float(context, f"{name}_shifted", like=name)
        file.add_operator("DEQUANTIZE", 1, [filled], shifted)
        real = _add_float(context, f"{name}_float", like=name)
        _shift(file, shifted, _HALF_STEP, real)
    file.add_operator("QUANTIZE", 1, [real], inside)
    return filled


def _add_output(context: EmitContext, ends: _Ends) -> int:
    """Add the tensor that a caller reads, and the operators that make it from int8; return that tensor."""
    file, name = context.file, context.graph.output
    inside = context.tensor(name)
    if ends.io_type == "int8":
        return inside
    if ends.io_type == "uint8" and ends.integer:
        read = _add_bytes(context, name, INTEGER_BYTE_SCALE)
        file.add_operator("QUANTIZE", 1, [inside], read)
        return read
    plain = ends.io_type == "float" and not ends.unit_output
    real = _add_float(context, name if plain else f"{name}_float", like=name)
    file.add_operator("DEQUANTIZE", 2, [inside], real)
    if ends.unit_output:
        unit = _add_unit_output(context, real)
        if ends.io_type == "float":
            return unit
        read = _add_bytes(context, name, UNIT_BYTE_SCALE)
        file.add_operator("QUANTIZE", 1, [unit], read)
        return read
    if ends.io_type == "float":
        return real
    shifted, read = _add_float(context, f"{name}_shifted", like=name), _add_bytes(context, name)
    _shift(file, real, -_HALF_STEP, shifted)
    file.add_operator("QUANTIZE", 1, [shifted], read)
    return read


def _add_unit_output(context: EmitContext, real: int) -> int:
    """Add the operators that turn a picture in -1..1 into one in 0..1; return their tensor."""
    file, name = context.file, context.graph.output
    half = file.add_constant("half", np.array(0.5, dtype=np.float32))
    halved = _add_float(context, f"{name}_halved", like=name)
    shifted = _add_float(context, f"{name}{UNIT_SUFFIX}", like=name)
    file.add_operator("MUL", 1, [real, half], halved, schema.MulOptionsT())
    file.add_operator("ADD", 1, [halved, half], shifted, schema.AddOptionsT())
    return shifted


def _shift(file: Subgraph, source: int, by: float, target: int) -> None:
    name = "half_step_up" if by > 0 else "half_step_down"
    constant = file.add_constant(name, np.array(by, dtype=np.float32))
    file.add_operator("ADD", 1, [source, constant], target, schema.AddOptionsT())


def _add_float(context: EmitContext, name: str, *, like: str | None = None) -> int:
    return context.file.add_tensor(name, (1, *context.graph.shapes[like or name]), np.float32)


def _add_bytes(context: EmitContext, name: str, scale: TensorScale = BYTE_SCALE) -> int:
    parameters = quantization_parameters([scale.scale], [scale.zero_point])
    return context.file.add_tensor(name, (1, *context.graph.shapes[name]), np.uint8, parameters)


def _metadata_buffer(graphs: Sequence[Graph], ends: _Ends, metadata: ModelMetadata) -> dict[str, bytes]:
    return {ENTRY: build_metadata(metadata, [_image_metadata(graph, ends, metadata.ends) for graph in graphs])}


def _image_metadata(graph: Graph, ends: _Ends, texts: Mapping[str, str]) -> tuple[list[ImageMetadata], ImageMetadata]:
    """Describe how bytes become the file's inputs, and its output becomes bytes."""
    # For uint8, normalisation and the tensor's own scale must give the byte back: its zero is half a step off.
    middle = float(BYTE_SCALE.zero_point) if ends.io_type == "uint8" else 127.5
    half = 128.0 if ends.io_type == "uint8" and ends.integer else 127.5
    back = (-middle / half, 1 / half)
    if ends.unit_output:
        # For uint8, again, the tensor's own scale and these must give the byte back.
        back = (0.0, 1 / 255)
    read_range = (0.0, 1.0) if ends.unit_output and ends.io_type == "float" else PIXEL_RANGES[ends.io_type]
    *taken, returned = (
        ImageMetadata(
            name=name, description=text, shape=graph.shapes[name], mean=mean, std=std, least=least, greatest=greatest
        )
        for name, text, (mean, std), (least, greatest) in (
            *((name, texts.get(name, _PHOTO), (middle, half), PIXEL_RANGES[ends.io_type]) for name in graph.inputs),
            (graph.output, texts.get(graph.output, _PICTURE), back, read_range),
        )
    )
    return taken, returned
