"""Lens Studio's rules for an ONNX file, and the note beside it on what to type at its import.

Sources: "Compatibility" in Snap's guide to SnapML, a table of layers in alphabetical order, of which the rows from
Absolute to Eltwise Div could be read here; its import guide (static NCHW shape, opset 11, no Reshape to five
dimensions); its limits of 10 MB for a model and 8 MB for a lens. Lens Studio has no Linux build: nothing was tried.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import onnx

from compress.errors import UnsupportedLayer, UnusableModel, UsageError
from compress.files.ownership import CARD_SIGNATURE
from compress.model_card import escape
from export.config import OnnxConfig, OnnxIoType
from export.onnx.emitter import PIXEL_RANGES

NOTE_NAME = "lens_studio.md"
OPSET = 11
MODEL_BYTES, LENS_BYTES = 10_000_000, 8_000_000
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
    if len(content) > min(MODEL_BYTES, LENS_BYTES):
        raise UnusableModel(
            f"the file has {len(content) / 1e6:.1f} MB; Snap takes models of {MODEL_BYTES / 1e6:.0f} MB and lenses of "
            f"{LENS_BYTES / 1e6:.0f} MB, the model within. Distil into a student (compress distill)."
        )
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


def write_note(
    size: tuple[int, int],
    io_type: OnnxIoType,
    *,
    name: str,
    size_bytes: int,
    ends: tuple[str, str],
    unread: Sequence[str],
) -> str:
    """Return `lens_studio.md`: what to type into the import dialog, and what is not known.

    Args:
        size: Height and width of the image, pixels.
        io_type: Values that the file's input and output hold.
        name: The generator's name.
        size_bytes: Of the file.
        ends: Names of the file's input and output.
        unread: From `require_lens_studio`.
    """
    height, width = size
    low, high = PIXEL_RANGES[io_type]
    scale, back = (high - low) / 255, 255 / (high - low)
    unknown = ", ".join(unread) or "none"
    return f"""# {escape(name)} in Lens Studio

{CARD_SIGNATURE}

**Not tried in Lens Studio**, which has no build for Linux: what follows is read from Snap's guides and computed from
the file. Look at the first picture that it makes before anything else.

Drag `model.onnx` ({size_bytes / 1e3:,.0f} kB) into the project's resources and set in its import dialog:

| | input `{ends[0]}` | output `{ends[1]}` |
|---|---|---|
| shape (batch, channels, height, width) | 1 x 3 x {height} x {width} | 1 x 3 x {height} x {width} |
| values of a black and of a white pixel | {low:g} and {high:g} | {low:g} and {high:g} |
| scale, for each of the three channels | {scale:.9g} | {back:.9g} |
| bias, for each of the three channels | {low:g} | {abs(low) * back:g} |

The dialog's scale and bias turn a texture's 0 to 255 into the input's values, and the output's values into 0 to 255.
Let the output's transform follow the input, so that the picture lies where the photo was.

- The photo is a square crop, red green blue. A model of faces wants the crop that it was trained on: a face, upright.
- A model may have {MODEL_BYTES / 1e6:.0f} MB, a lens {LENS_BYTES / 1e6:.0f} MB.
- Pixel shuffles are written as convolutions with a 1 in each kernel, since Snap's list has no such layer.
- Operators whose row in Snap's list we could not read: {unknown}.
  See "Compatibility" in Snap's guide to SnapML.
"""
