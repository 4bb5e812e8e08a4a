"""What a `.tflite` file is rewritten to for what runs it, and what is refused there.

Rewrites leave the pixels as they are: in float to the bit, in int8 with the same integers.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from compress.errors import UnsupportedLayer
from export.config import Target, TfliteConfig
from export.delegates.operators import FileOperator, read_operators
from export.delegates.table import DelegateName, find_delegate
from export.graph.operations import Graph
from export.graph.passes import SEPARATE_ACTIVATIONS, SHUFFLES_AS_CONVOLUTIONS, TFLITE, Pass, apply_passes
from export.graph.quantized import QuantizedGraph
from export.graph.quantized_shuffles import drop_saturating_activations, int8_shuffles_as_convolutions

_WAYS_OUT: Mapping[str, str] = {
    "DEQUANTIZE": "use --precision fp32, fp16 or int8",
    "MIRROR_PAD": "distil into a student, which pads with zeros",
    "QUANTIZE": "use --io-type int8, or a student without a ReLU that stands alone",
    "RELU6": "distil into a student, which uses ReLU",
}
_SNAP_LISTED = frozenset({"ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "TRANSPOSE_CONV"})
"""Operators whose rows in Snap's list of layers were read, see `export.onnx.lens_studio`."""
_SNAP_UNREAD = frozenset(
    {
        "AVERAGE_POOL_2D", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "MUL", "PAD", "RELU",
        "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SQRT", "SQUARED_DIFFERENCE", "STRIDED_SLICE", "SUB",
        "TANH",
    }
)  # fmt: skip
"""Operators that would stand in the part of the list that could not be read."""
_OTHERWISE = "distil into a student, or use --target cpu"


@dataclass(frozen=True, kw_only=True)
class TargetRules:
    """The rewrites of a target."""

    delegate: DelegateName | None = None
    """The delegate whose table the file is held against."""
    passes: tuple[Pass, ...] = TFLITE
    """Passes of the float graph; in int8 of the graph before its ranges are chosen, but for those of `int8`."""
    float_passes: tuple[Pass, ...] = ()
    """Further passes of a file whose activations are float."""
    int8: Sequence[Callable[[QuantizedGraph], QuantizedGraph]] = ()
    """Rewrites of the quantised graph."""
    integer_ends: bool = False
    """Whether uint8 ends are reached without float arithmetic."""
    unit_output: bool = False
    """Whether the output's real values lie in 0..1."""


_SHUFFLES = {"float_passes": SHUFFLES_AS_CONVOLUTIONS, "int8": (int8_shuffles_as_convolutions,)}
RULES: Mapping[Target, TargetRules] = {
    "cpu": TargetRules(),
    "gpu": TargetRules(delegate="gpu", float_passes=SEPARATE_ACTIVATIONS, int8=(drop_saturating_activations,)),
    "npu-mediatek": TargetRules(delegate="npu-mediatek", integer_ends=True, **_SHUFFLES),
    "npu-qualcomm": TargetRules(delegate="npu-qualcomm", integer_ends=True),
    "npu-google": TargetRules(delegate="npu-google", integer_ends=True),
    "mediapipe": TargetRules(unit_output=True),
    "lens-studio": TargetRules(passes=(), **_SHUFFLES),
}


def rewrite_float(graph: Graph, config: TfliteConfig) -> Graph:
    """Return the graph that a target's file is written from, or in int8 quantised from."""
    rules = RULES[config.target]
    rewritten = apply_passes(graph, rules.passes)
    return rewritten if config.precision == "int8" else apply_passes(rewritten, rules.float_passes)


def rewrite_int8(quantized: QuantizedGraph, target: Target) -> QuantizedGraph:
    """Return the quantised graph that a target's file is written from."""
    for rewrite in RULES[target].int8:
        quantized = rewrite(quantized)
    return quantized


def require_taken(content: bytes, target: Target) -> None:
    """Hold a file against the table of its target's delegate, or Snap's list.

    Raises:
        UnsupportedLayer: If an operator is not taken; all are named, with the way out.
    """
    model: Any = schema.ModelT.InitFromPackedBuf(content)
    reasons = Counter((one.code, reason) for one in read_operators(model) if (reason := _refusal(one, target)))
    if reasons:
        listed = "; ".join(
            f"{count} {code}: {reason} ({_WAYS_OUT.get(code, _OTHERWISE)})" for (code, reason), count in reasons.items()
        )
        raise UnsupportedLayer(f"--target {target} does not take what this model needs: {listed}.")


def _refusal(operator: FileOperator, target: Target) -> str | None:
    if target == "lens-studio":
        known = operator.code in _SNAP_LISTED | _SNAP_UNREAD
        return None if known else f"Snap's list of layers does not have {operator.code}"
    name = RULES[target].delegate
    return None if name is None else operator.refusal(find_delegate(name))


def find_unread(content: bytes) -> list[str]:
    """Return the operators of a file that stand in the part of Snap's list that could not be read, sorted."""
    model: Any = schema.ModelT.InitFromPackedBuf(content)
    return sorted({one.code for one in read_operators(model)} & _SNAP_UNREAD)
