"""What a `.tflite` file computes otherwise on some runtimes than on others: rules from `python -m benchmarks.runtimes`.

Each was measured at the version that it names; `docs/runtimes.md` has the table, `findings/` the scripts.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from export.delegates.operators import present_inputs, read_operators

_OWN = "LiteRT 2.3.0 and tflite-runtime 2.14 without XNNPACK"
_LITERT_JS = "LiteRT.js 2.5.3"
_OPENCV = "OpenCV 4.13.0"
_FIXED_POINT = 1024
"""What LiteRT's own integer resize multiplies its factor by, before it rounds it."""
_LARGEST_SUM = 1 << 15
"""Steps of an int8 sum from which on LiteRT's own ADD wraps around."""
_INTEGERS = ("int8", "uint8")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that a runtime does otherwise."""

    op: str
    runtime: str
    why: str
    what_to_do: str
    spoils: bool
    """Whether it can be seen; False where values are a step apart."""


def find_differences(content: bytes) -> list[dict[str, Any]]:
    """Return what runtimes compute otherwise of a file's usual size.

    Args:
        content: A `.tflite` file that LiteRT can load.

    Returns:
        JSON-ready, what spoils pictures first: the fields of `Difference`, and `count` of operators.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(content)
    counts = Counter([*_of_operators(model), *_of_ends(model)])
    ordered = sorted(counts.items(), key=lambda item: not item[0].spoils)
    return [{**asdict(difference), "count": count} for difference, count in ordered]


def _of_operators(model: Any) -> Iterator[Difference]:
    graph = model.subgraphs[0]
    for found, operator in zip(read_operators(model), graph.operators, strict=True):
        rule = _RULES.get(found.code)
        # Whoever wrote the file may have left an operator's options out, or the scale of an integer.
        tensors = [graph.tensors[index] for index in present_inputs(operator)]
        difference = None if rule is None else rule(operator, tensors, graph)
        if difference is not None:
            yield difference


def _resize(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    written = graph.tensors[operator.outputs[0]]
    options = operator.builtinOptions
    is_open = any(-1 in each.shapeSignature for each in (inputs[0], written) if each.shapeSignature is not None)
    if _type(written) not in _INTEGERS or options is None or options.alignCorners or is_open:
        return None
    drift = max(
        abs(_FIXED_POINT * before / after - round(_FIXED_POINT * before / after)) * after / _FIXED_POINT
        for before, after in zip(inputs[0].shape[1:3], written.shape[1:3], strict=True)
    )
    if drift == 0:
        return None
    before, after = ("x".join(map(str, each.shape[1:3])) for each in (inputs[0], written))
    return Difference(
        op="RESIZE_BILINEAR",
        runtime=_OWN,
        why=f"from {before} to {after} its int8 kernel drifts by up to {drift:.2g} pixels of what it enlarges",
        what_to_do="resize by 2 or 4, or shuffle pixels, as the students do",
        spoils=True,
    )


def _add(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    written = graph.tensors[operator.outputs[0]]
    if _type(written) != "int8" or not all(map(_has_scale, [*inputs, written])):
        return None
    largest = sum(_scale(each) * max(127 - _zero_point(each), _zero_point(each) + 128) for each in inputs)
    if largest / _scale(written) <= _LARGEST_SUM:
        return None
    return Difference(
        op="ADD",
        runtime=_OWN,
        why=f"its int8 kernel wraps sums around beyond {_LARGEST_SUM:,} steps of the output: white becomes black",
        what_to_do="widen the output's range to 1/64 of the inputs', as `compress export tflite` does",
        spoils=True,
    )


def _mean(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    if _type(graph.tensors[operator.outputs[0]]) != "int8":
        return None
    return Difference(
        op="MEAN",
        runtime=f"{_OWN}, OpenVINO 2026.4.1 and others",
        why="an int8 mean is a step off in places, which a context block hands on to the whole picture: other bytes, "
        "as near to the float model",
        what_to_do="compare pictures of different runtimes in PSNR, not by their bytes; or distil with --no-context",
        spoils=False,
    )


def _quantize(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    if {_type(inputs[0]), _type(graph.tensors[operator.outputs[0]])} != {"int8"}:
        return None
    return Difference(
        op="QUANTIZE",
        runtime="LiteRT 2.3.0 with XNNPACK",
        why="it changes an int8 scale by a factor of 8 bits: a step off in 3 % of values, where others are exact",
        what_to_do="fuse the ReLU into the operator before it, or leave it: a step is not seen",
        spoils=False,
    )


def _convolution(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    options = operator.builtinOptions
    if options is None or _type(inputs[0]) != "float32" or options.dilationHFactor * options.dilationWFactor == 1:
        return None
    return Difference(
        op="CONV_2D",
        runtime=_OPENCV,
        why="it reads a dilated convolution from .tflite and computes it without its dilation",
        what_to_do="give OpenCV the file of `compress export onnx`, which it computes rightly",
        spoils=True,
    )


def _average(operator: Any, inputs: list[Any], graph: Any) -> Difference | None:
    options = operator.builtinOptions
    if options is None or _type(inputs[0]) != "float32" or options.padding != schema.Padding.SAME:
        return None
    return Difference(
        op="AVERAGE_POOL_2D",
        runtime=_OPENCV,
        why="it reads a pool with padding from .tflite and counts the zeros outside of the picture",
        what_to_do="give OpenCV the file of `compress export onnx`, which it computes rightly",
        spoils=True,
    )


_RULES: Mapping[str, Callable[[Any, list[Any], Any], Difference | None]] = {
    "RESIZE_BILINEAR": _resize,
    "ADD": _add,
    "MEAN": _mean,
    "QUANTIZE": _quantize,
    "CONV_2D": _convolution,
    "AVERAGE_POOL_2D": _average,
}


def _of_ends(model: Any) -> Iterator[Difference]:
    graph = model.subgraphs[0]
    ends = {_type(graph.tensors[index]) for index in [*graph.inputs, *graph.outputs]}
    if "int8" in ends:
        yield Difference(
            op="input or output",
            runtime=_LITERT_JS,
            why="it takes no int8 tensor",
            what_to_do="export with --io-type uint8 or float",
            spoils=True,
        )
    if "uint8" in ends:
        yield Difference(
            op="input or output",
            runtime=f"{_LITERT_JS} on WebGPU",
            why="it fails on uint8 tensors; in WebAssembly it takes them",
            what_to_do="export with --io-type float for WebGPU",
            spoils=True,
        )
    if len(model.subgraphs) > 1:
        yield Difference(
            op="signature",
            runtime=f"OpenVINO 2026.4.1, {_OPENCV} and LiteRT 1.0",
            why="they run a file's usual size alone, LiteRT 1.0 the others without XNNPACK",
            what_to_do="export a file for each size",
            spoils=True,
        )


def _type(tensor: Any) -> str:
    return _TYPES[tensor.type]


_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}


def _has_scale(tensor: Any) -> bool:
    return tensor.quantization is not None and tensor.quantization.scale is not None


def _scale(tensor: Any) -> float:
    return float(tensor.quantization.scale[0])


def _zero_point(tensor: Any) -> int:
    return int(tensor.quantization.zeroPoint[0])
