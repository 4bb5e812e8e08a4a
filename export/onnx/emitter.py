"""A deploy graph becomes an ONNX file: fp32, fp16 weights, or int8 in the form QDQ."""

from collections.abc import Mapping

import numpy as np

from export.config import OnnxIoType
from export.graph.operations import Graph, Shape
from export.graph.quantized import QuantizedGraph
from export.onnx.context import EmitContext, FloatWeights
from export.onnx.file import OnnxFile
from export.onnx.operators import emit

_HALF = 127.5
"""Half of a byte's range: `byte / 127.5 - 1` is what generators are trained on."""


def float_file(
    graph: Graph,
    *,
    opset: int,
    weights: FloatWeights = "fp32",
    io_type: OnnxIoType = "float",
    texts: Mapping[str, str] | None = None,
) -> bytes:
    """Emit a graph whose activations are float.

    Args:
        graph: The graph; its reflections are nodes of their own.
        opset: Version of ONNX's operators.
        weights: Storage of kernels.
        io_type: Values that input and output hold.
        texts: The file's metadata, and `description`.
    """
    file = OnnxFile(opset)
    return _finish(EmitContext(file, graph, weights=weights), io_type, texts or {})


def int8_file(
    quantized: QuantizedGraph, *, opset: int, io_type: OnnxIoType = "float", texts: Mapping[str, str] | None = None
) -> bytes:
    """Emit a quantised graph with the integers and the scales that its `.tflite` has; arguments as in `float_file`."""
    context = EmitContext(OnnxFile(opset), quantized.graph, quantized=quantized)
    return _finish(context, io_type, texts or {}, quantized=True)


def _finish(context: EmitContext, io_type: OnnxIoType, texts: Mapping[str, str], *, quantized: bool = False) -> bytes:
    file, graph = context.file, context.graph
    real = graph.input
    if io_type == "rgb255":
        real = _scale(file, graph.input, 1 / _HALF, -1.0, f"{graph.input}/centred")
        context.rename(graph.output, f"{graph.output}/centred")
    if quantized:
        context.rename(graph.input, f"{graph.input}/rounded")
        context.quantize(graph.input, real)
    else:
        context.rename(graph.input, real)
    for operation in graph.operations:
        emit(operation, context)
    if io_type == "rgb255":
        _scale(file, context.value(graph.output), _HALF, _HALF, graph.output)
    ends = [(name, _nchw(graph.shapes[name])) for name in (graph.input, graph.output)]
    return file.finish(ends[0], ends[1], texts)


def _scale(file: OnnxFile, source: str, factor: float, offset: float, target: str) -> str:
    """Write a Mul and an Add: folded into a convolution, its zero padding would stand for another colour."""
    constants = [
        file.add_constant(f"{target}/{role}", np.array(value, np.float32))
        for role, value in (("factor", factor), ("offset", offset))
    ]
    file.add_node("Mul", [source, constants[0]], f"{target}/scaled")
    file.add_node("Add", [f"{target}/scaled", constants[1]], target, name=f"{target}/shifted")
    return target


def _nchw(shape: Shape) -> tuple[int, int, int, int]:
    height, width, channels = shape
    return 1, channels, height, width
