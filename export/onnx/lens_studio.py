"""Lens Studio's rules for the operators of an ONNX file.

Sources: "Compatibility" in Snap's guide to SnapML, a table of layers in alphabetical order, of which the rows from
Absolute to Eltwise Div could be read here; its import guide (static NCHW shape, opset 11, no Reshape to five
dimensions). Lens Studio has no Linux build: nothing was tried in it.
"""

from collections import Counter
from collections.abc import Mapping

import onnx

from compress.errors import UsageError
from export.config import OnnxConfig
from export.graph.operations import Graph
from export.lens_studio import refuse_unlisted, require_size, require_uses

OPSET = 11
LISTED = frozenset({"Add", "BatchNormalization", "Concat", "Conv", "ConvTranspose", "Div"})
"""Operators whose rows in Snap's table were read."""
UNREAD = frozenset(
    {
        "AveragePool", "GlobalAveragePool", "InstanceNormalization", "LeakyRelu", "MaxPool", "Mul", "Pad", "ReduceMean",
        "Relu", "Resize", "Sigmoid", "Slice", "Sqrt", "Sub", "Tanh",
    }
)  # fmt: skip
"""Operators that would stand in the part of the table that could not be read: let through, and named in the note."""
_WAYS_OUT: Mapping[str, str] = {
    "Cast": "use --precision fp32",
    "Clip": "use a student with ReLU in place of ReLU6",
    "DequantizeLinear": "use --precision fp32",
    "QuantizeLinear": "use --precision fp32",
}


def require_settings(config: OnnxConfig) -> None:
    """Check what a target asks of the flags, before anything is computed.

    Raises:
        UsageError: If a flag asks for what Lens Studio does not take.
    """
    if config.precision != "fp32":
        raise UsageError(
            f"precision = {config.precision}, but Snap's list for --target lens-studio has neither Cast nor "
            "QuantizeLinear, which hold it. Use --precision fp32."
        )
    if config.resolved_opset != OPSET:
        raise UsageError(f"opset = {config.resolved_opset}, but --target lens-studio takes {OPSET}. Leave --opset out.")


def require_lens_studio(content: bytes, graph: Graph) -> list[str]:
    """Check a file against Snap's limits and list.

    Args:
        content: The ONNX file.
        graph: The graph that it was written from.

    Returns:
        Its operators that stand in the unread part of the list, sorted.

    Raises:
        UnusableModel: If it is too large.
        UnsupportedLayer: If an operator, or the way it is used, is not on the list; all are named.
    """
    require_size(len(content))
    require_uses(graph)
    nodes = onnx.load_model_from_string(content).graph.node
    unlisted = (node.op_type for node in nodes if node.op_type not in LISTED | UNREAD)
    refuse_unlisted(
        Counter(f"{code} ({_WAYS_OUT.get(code, 'distil into a student of another family')})" for code in unlisted)
    )
    return sorted({node.op_type for node in nodes} & UNREAD)
