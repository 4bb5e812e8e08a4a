"""A deploy graph becomes a `.tflite` file: fp32, fp16 weights, or full int8."""

import numpy as np

from export.config import Ends
from export.graph import Graph
from export.quantization import QuantizedGraph, TensorScale
from export.tflite_file import TfliteFile, quantization_parameters
from export.tflite_operators import Emission, emit

DESCRIPTION = "PocketGAN generator"
BYTE_SCALE = TensorScale(1 / 128, 128)
"""How a uint8 end reads a byte: b stands for (b - 128) / 128, so that byte and int8 differ by one bit. It differs from
the training's b / 127.5 - 1 by at most one step of 1/128, at white."""


def float_file(graph: Graph, *, half: bool = False) -> bytes:
    """Emit a graph in float.

    Args:
        graph: What to emit.
        half: Store kernels as float16 behind a DEQUANTIZE, which a delegate undoes once, when it loads the file.
    """
    emission = Emission(TfliteFile(), graph, half=half)
    for operation in graph.operations:
        emit(operation, emission)
    return _finish(emission, emission.tensor(graph.input), emission.tensor(graph.output))


def int8_file(quantized: QuantizedGraph, ends: Ends) -> bytes:
    """Emit a quantised graph whose input and output are float, int8 or uint8."""
    graph = quantized.graph
    emission = Emission(TfliteFile(), graph, quantized=quantized, suffix="" if ends == "int8" else "_int8")
    image = _enter(emission, ends)
    for operation in graph.operations:
        emit(operation, emission)
    return _finish(emission, image, _leave(emission, ends))


def _enter(emission: Emission, ends: Ends) -> int:
    """Turn what the caller gives into int8; return the caller's tensor.

    Bytes travel over float, without loss: XNNPACK takes both halves of that way, but leaves a QUANTIZE from uint8 to
    int8 behind. So they do in `_leave`.
    """
    file, name = emission.file, emission.graph.input
    inside = emission.tensor(name)
    if ends == "int8":
        return inside
    real = _add_float(emission, name, suffix="" if ends == "float" else "_float")
    given = real
    if ends == "uint8":
        given = _add_bytes(emission, name)
        file.add_operator("DEQUANTIZE", 1, [given], real)
    file.add_operator("QUANTIZE", 1, [real], inside)
    return given


def _leave(emission: Emission, ends: Ends) -> int:
    """Turn the int8 output into what the caller takes; return the caller's tensor."""
    file, name = emission.file, emission.graph.output
    inside = emission.tensor(name)
    if ends == "int8":
        return inside
    real = _add_float(emission, name, suffix="" if ends == "float" else "_float")
    file.add_operator("DEQUANTIZE", 2, [inside], real)
    if ends == "float":
        return real
    taken = _add_bytes(emission, name)
    file.add_operator("QUANTIZE", 1, [real], taken)
    return taken


def _add_float(emission: Emission, name: str, *, suffix: str) -> int:
    return emission.file.add_tensor(name + suffix, (1, *emission.graph.shapes[name]), np.float32)


def _add_bytes(emission: Emission, name: str) -> int:
    parameters = quantization_parameters([BYTE_SCALE.scale], [BYTE_SCALE.zero_point])
    return emission.file.add_tensor(name, (1, *emission.graph.shapes[name]), np.uint8, parameters)


def _finish(emission: Emission, image: int, generated: int) -> bytes:
    graph = emission.graph
    return emission.file.finish({graph.input: image}, {graph.output: generated}, DESCRIPTION)
