"""Lens Studio's rules for the operators of an ONNX file.

Sources: "Compatibility" in Snap's guide to SnapML, a table of layers in alphabetical order, of which the rows from
Absolute to Eltwise Div could be read here; its import guide (static NCHW shape, opset 11, no Reshape to five
dimensions). Lens Studio has no Linux build: nothing was tried in it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

import onnx

from compress.errors import UnsupportedLayer, UsageError
from export.config import OnnxConfig
from export.lens_studio import require_size

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
_CHANNELS = 1


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


def require_lens_studio(content: bytes) -> list[str]:
    """Check a file against Snap's limits and list.

    Args:
        content: The ONNX file.

    Returns:
        Its operators that stand in the unread part of the list, sorted.

    Raises:
        UnusableModel: If it is too large.
        UnsupportedLayer: If an operator, or the way it is used, is not on the list; all are named.
    """
    require_size(len(content))
    nodes = onnx.load_model_from_string(content).graph.node
    found = Counter(problem for node in nodes for problem in _problems(node))
    if found:
        listed = "; ".join(f"{count} {problem}" for problem, count in found.items())
        raise UnsupportedLayer(f"Snap's list of layers for Lens Studio does not have what this model needs: {listed}.")
    return sorted({node.op_type for node in nodes} & UNREAD)


def _problems(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what of a node is not on the list, in words."""
    code = node.op_type
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    if code not in LISTED | UNREAD:
        yield f"{code} ({_WAYS_OUT.get(code, 'distil into a student of another family')})"
    if code in ("Conv", "ConvTranspose"):
        for name in ("strides", "dilations", *(["kernel_shape"] if code == "ConvTranspose" else [])):
            if len(set(attributes.get(name, ()))) > 1:
                yield f"{code} with other {name} in height than in width (use a square one)"
        if max(attributes.get("pads", [0])) > max(attributes["kernel_shape"]):
            yield f"{code} with more padding than its kernel is large (use a smaller dilation)"
    if code == "Concat" and attributes["axis"] != _CHANNELS:
        yield "Concat of height or width (join channels alone)"
