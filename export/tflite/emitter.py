"""A deploy graph becomes a `.tflite` file: fp32, fp16 or int8 weights, or full int8."""

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.config import IoType
from export.graph.operations import Graph
from export.graph.quantized import QuantizedGraph, TensorScale
from export.tflite import metadata
from export.tflite.file import SIGNATURE, Subgraph, TfliteFile, quantization_parameters
from export.tflite.metadata import About, ImageEnd
from export.tflite.operators import Emission, FloatWeights, emit

BYTE_SCALE = TensorScale(1 / 127.5, 128)
"""What a uint8 end says of itself: byte b is about (b - 128) / 127.5. Training's b / 127.5 - 1 lies half a step higher,
where no integer zero point can be; the file adds that half step, so it reads and returns what a float end does."""
_HALF_STEP = 0.5 / 127.5
PIXEL_RANGES: Mapping[IoType, tuple[float, float]] = {
    "float": (-1.0, 1.0),
    "int8": (-128.0, 127.0),
    "uint8": (0.0, 255.0),
}
"""What an end holds for a black and for a white pixel."""
ABOUT = About()


def float_file(
    graph: Graph, weights: FloatWeights = "fp32", about: About = ABOUT, *, others: Sequence[Graph] = ()
) -> bytes:
    """Emit a graph whose activations are float.

    Args:
        graph: What to emit.
        weights: How kernels are stored: as they are; as float16 behind a DEQUANTIZE, which a delegate undoes once, when
            it loads the file; or as int8, for kernels that quantise each image's activations on the way ("dynamic").
        about: What the file says of itself.
        others: The same generator at other sizes, each under a signature of its own, see `signature_of`.
    """
    file = TfliteFile()
    for each in (graph, *others):
        emission = Emission(_begin(file, each, graph), each, weights=weights)
        for operation in each.operations:
            emit(operation, emission)
        emission.file.close({each.input: emission.tensor(each.input)}, {each.output: emission.tensor(each.output)})
    return file.finish(about.description, _metadata([graph, *others], "float", about))


def int8_file(
    quantized: QuantizedGraph, io_type: IoType, about: About = ABOUT, *, others: Sequence[QuantizedGraph] = ()
) -> bytes:
    """Emit a quantised graph whose input and output are float, int8 or uint8; `others` as in `float_file`."""
    file = TfliteFile()
    for each in (quantized, *others):
        graph = each.graph
        subgraph = _begin(file, graph, quantized.graph)
        emission = Emission(subgraph, graph, quantized=each, suffix="" if io_type == "int8" else "_int8")
        image = _enter(emission, io_type)
        for operation in graph.operations:
            emit(operation, emission)
        subgraph.close({graph.input: image}, {graph.output: _leave(emission, io_type)})
    graphs = [each.graph for each in (quantized, *others)]
    return file.finish(about.description, _metadata(graphs, io_type, about))


def signature_of(graph: Graph) -> str:
    """What runs a size that is not a file's usual one: `translate_256x256`, height and width."""
    height, width, _ = graph.input_shape
    return f"translate_{height}x{width}"


def _begin(file: TfliteFile, graph: Graph, usual: Graph) -> Subgraph:
    return file.add_subgraph(SIGNATURE if graph is usual else signature_of(graph))


def _enter(emission: Emission, io_type: IoType) -> int:
    """Turn what the caller gives into int8; return the caller's tensor.

    Bytes travel over float: XNNPACK takes both halves of that way, but leaves a QUANTIZE from uint8 to int8 behind. So
    they do in `_leave`.
    """
    file, name = emission.file, emission.graph.input
    inside = emission.tensor(name)
    if io_type == "int8":
        return inside
    if io_type == "float":
        given = real = _add_float(emission, name)
    else:
        given, shifted = _add_bytes(emission, name), _add_float(emission, f"{name}_shifted", like=name)
        file.add_operator("DEQUANTIZE", 1, [given], shifted)
        real = _add_float(emission, f"{name}_float", like=name)
        _shift(file, shifted, _HALF_STEP, real)
    file.add_operator("QUANTIZE", 1, [real], inside)
    return given


def _leave(emission: Emission, io_type: IoType) -> int:
    """Turn the int8 output into what the caller takes; return the caller's tensor."""
    file, name = emission.file, emission.graph.output
    inside = emission.tensor(name)
    if io_type == "int8":
        return inside
    real = _add_float(emission, name if io_type == "float" else f"{name}_float", like=name)
    file.add_operator("DEQUANTIZE", 2, [inside], real)
    if io_type == "float":
        return real
    shifted, taken = _add_float(emission, f"{name}_shifted", like=name), _add_bytes(emission, name)
    _shift(file, real, -_HALF_STEP, shifted)
    file.add_operator("QUANTIZE", 1, [shifted], taken)
    return taken


def _shift(file: Subgraph, source: int, by: float, target: int) -> None:
    name = "half_step_up" if by > 0 else "half_step_down"
    constant = file.add_constant(name, np.array(by, dtype=np.float32))
    file.add_operator("ADD", 1, [source, constant], target, schema.AddOptionsT())


def _add_float(emission: Emission, name: str, *, like: str | None = None) -> int:
    return emission.file.add_tensor(name, (1, *emission.graph.shapes[like or name]), np.float32)


def _add_bytes(emission: Emission, name: str) -> int:
    parameters = quantization_parameters([BYTE_SCALE.scale], [BYTE_SCALE.zero_point])
    return emission.file.add_tensor(name, (1, *emission.graph.shapes[name]), np.uint8, parameters)


def _metadata(graphs: Sequence[Graph], io_type: IoType, about: About) -> dict[str, bytes]:
    return {metadata.ENTRY: metadata.build(about, [_image_ends(graph, io_type) for graph in graphs])}


def _image_ends(graph: Graph, io_type: IoType) -> tuple[ImageEnd, ImageEnd]:
    """How bytes become what the file takes, and what it returns becomes bytes."""
    # Of a uint8 end, normalisation and the tensor's own scale must give the byte back: its zero is half a step off.
    middle = float(BYTE_SCALE.zero_point) if io_type == "uint8" else 127.5
    least, greatest = PIXEL_RANGES[io_type]
    given, returned = (
        ImageEnd(
            name=name, description=text, shape=graph.shapes[name], mean=mean, std=std, least=least, greatest=greatest
        )
        for name, text, mean, std in (
            (graph.input, "RGB photo.", middle, 127.5),
            (graph.output, "RGB picture; (value - mean) / std is a byte.", -middle / 127.5, 1 / 127.5),
        )
    )
    return given, returned
