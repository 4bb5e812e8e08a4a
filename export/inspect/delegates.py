"""Tables of the operators that the delegates of phones take, from their sources: not measured, since none runs here.

XNNPACK does run here and is asked itself (`export.tflite.delegation`). An operator that a source lists can still be
refused for its shape or its parameters. Each delegate's `source` says how its table came about, and the report shows
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Delegate:
    """A delegate, by the operators that its code accepts."""

    name: str
    source: str
    takes: frozenset[str]
    takes_int8: frozenset[str]
    newest: Mapping[str, int] = field(default_factory=dict)
    """Newest version of an operator that it takes; `newest_of_others` for one that is not named."""
    newest_of_others: int | None = None

    def accepts(self, code: str, version: int, *, integer: bool) -> bool:
        """Return whether it takes an operator; `integer` where that writes int8 or uint8."""
        newest = self.newest.get(code, self.newest_of_others)
        return code in (self.takes_int8 if integer else self.takes) and (newest is None or version <= newest)


_EVERYWHERE = {
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "LOGISTIC",
    "MAX_POOL_2D", "MEAN", "MUL", "PAD", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "SOFTMAX", "TANH",
    "TRANSPOSE_CONV",
}  # fmt: skip
_GPU = frozenset(_EVERYWHERE) | {
    "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "EXP", "LEAKY_RELU", "MAXIMUM", "MINIMUM", "MIRROR_PAD", "PRELU", "QUANTIZE",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SQRT", "SQUARED_DIFFERENCE",
    "STRIDED_SLICE", "SUB", "TRANSPOSE",
}  # fmt: skip
_NNAPI = frozenset(_EVERYWHERE) | {
    "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "EXP", "LEAKY_RELU", "MAXIMUM", "MINIMUM", "PRELU", "QUANTIZE",
    "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SQRT", "STRIDED_SLICE", "SUB", "TRANSPOSE",
}  # fmt: skip
GPU = Delegate(
    name="gpu",
    source="tensorflow/lite/delegates/gpu/common/model_builder.cc, read in part; int8 is computed in float",
    takes=_GPU,
    takes_int8=_GPU,
)
NNAPI = Delegate(
    name="nnapi",
    source="feature level 4 (Android 11), not checked against nnapi_delegate.cc yet; deprecated in Android 15",
    takes=_NNAPI,
    takes_int8=_NNAPI - {"DIV", "EXP", "RSQRT", "SQRT"},
)
COREML = Delegate(
    name="coreml",
    source="tensorflow/lite/delegates/coreml/coreml_delegate.mm, read; float alone, mostly version 1 of an operator",
    takes=frozenset(_EVERYWHERE) | {"DEQUANTIZE", "MIRROR_PAD"},
    takes_int8=frozenset(),
    newest={"DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 6, "DEQUANTIZE": 3},
    newest_of_others=1,
)
DELEGATES = (GPU, NNAPI, COREML)
