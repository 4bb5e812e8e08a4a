"""One function for each operation of the deploy graph, which writes it as ONNX's nodes.

Tensors are NCHW with a batch of 1; the zeros of TensorFlow's "same" are explicit pads, the odd one at the bottom and
the right. Nothing is newer than opset 11, but for int8's scale per channel, which came with 13.
"""

from functools import singledispatch
from typing import Any

import numpy as np

from export.graph.operations import (
    Activate,
    Add,
    Axis,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Dequantize,
    FusedActivation,
    InstanceNorm,
    Margins,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Quantize,
    Resize,
    SpaceToDepth,
    TransposedConvolution,
    margins_of,
)
from export.onnx.context import EmitContext

_AXES: dict[Axis, int] = {"channels": 1, "height": 2, "width": 3}
_SPATIAL, _ALL = (2, 3), (1, 2, 3)
_AXES_AS_INPUT = 18
"""Opset from which a reduction takes its axes as an input."""


@singledispatch
def emit(operation: Operation, context: EmitContext) -> None:
    """Write one operation of the graph."""
    raise NotImplementedError(f"{type(operation).__name__} has no form in ONNX")


@emit.register
def _(operation: Convolution, context: EmitContext) -> None:
    height, width, _, _ = operation.kernel.shape
    weights = context.weights(operation, lambda kernel: kernel.transpose(3, 2, 0, 1), axis=0)
    _convolve(operation, context, weights, (height, width), group=1)


@emit.register
def _(operation: DepthwiseConvolution, context: EmitContext) -> None:
    height, width, channels, _ = operation.kernel.shape
    weights = context.weights(
        operation, lambda kernel: kernel.reshape(height, width, -1).transpose(2, 0, 1)[:, np.newaxis], axis=0
    )
    _convolve(operation, context, weights, (height, width), group=channels)


def _convolve(
    operation: Convolution | DepthwiseConvolution,
    context: EmitContext,
    weights: tuple[str, str],
    window: tuple[int, int],
    *,
    group: int,
) -> None:
    margins = margins_of(operation, context.size_before(operation), window)
    context.write(
        operation,
        "Conv",
        *weights,
        activation=operation.activation,
        kernel_shape=window,
        strides=operation.strides,
        dilations=operation.dilation,
        pads=_pads(margins),
        group=group,
    )


@emit.register
def _(operation: TransposedConvolution, context: EmitContext) -> None:
    """Write what TensorFlow cuts off as pads, and what it adds where the window is smaller than the stride."""
    window = operation.kernel.shape[:2]
    margins, extra = [], []
    sides = zip(context.size_before(operation), operation.strides, window, operation.shape[:2], strict=True)
    for before, stride, reach, wanted in sides:
        made = (before - 1) * stride + reach
        surplus = max(made - wanted, 0)
        first = surplus // 2 if operation.padding == "same" else 0
        margins.append((first, surplus - first))
        extra.append(max(wanted - made, 0))
    context.write(
        operation,
        "ConvTranspose",
        *context.weights(operation, lambda kernel: kernel.transpose(3, 2, 0, 1), axis=1),
        activation=operation.activation,
        kernel_shape=window,
        strides=operation.strides,
        pads=_pads((margins[0], margins[1])),
        **({"output_padding": extra} if any(extra) else {}),
    )


def _pads(margins: Margins) -> list[int]:
    """Return margins in ONNX's order: all that come before, then all that come behind."""
    (top, bottom), (left, right) = margins
    return [top, left, bottom, right]


@emit.register
def _(operation: Add, context: EmitContext) -> None:
    context.write(operation, "Add", activation=operation.activation)


@emit.register
def _(operation: Multiply, context: EmitContext) -> None:
    context.write(operation, "Mul", activation=operation.activation)


@emit.register
def _(operation: Mean, context: EmitContext) -> None:
    context.write(operation, "GlobalAveragePool")


@emit.register
def _(operation: Pool, context: EmitContext) -> None:
    margins = margins_of(operation, context.size_before(operation), operation.size)
    geometry: dict[str, Any] = {"kernel_shape": operation.size, "strides": operation.strides, "pads": _pads(margins)}
    context.write(operation, "AveragePool" if operation.kind == "average" else "MaxPool", **geometry)


@emit.register
def _(operation: Resize, context: EmitContext) -> None:
    before = context.size_before(operation)
    # Opset 11 demands this input also where it means nothing.
    region = context.file.add_constant("no_region", np.zeros(0, np.float32))
    settings: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if operation.method == "nearest":
        # By whole factors the same pixels as at half coordinates, and what all runtimes know.
        settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if all(after % side == 0 for side, after in zip(before, operation.shape[:2], strict=True)):
        factors = [after // side for side, after in zip(before, operation.shape[:2], strict=True)]
        scales = context.file.add_constant(f"{operation.output}/scales", np.array([1, 1, *factors], np.float32))
        context.write(operation, "Resize", region, scales, **settings)
        return
    if operation.method == "nearest":
        settings["coordinate_transformation_mode"] = "half_pixel"
        settings["nearest_mode"] = "round_prefer_ceil"
    height, width, channels = operation.shape
    none = context.file.add_constant("no_scales", np.zeros(0, np.float32))
    sizes = context.file.add_constant(f"{operation.output}/sizes", np.array([1, channels, height, width], np.int64))
    context.write(operation, "Resize", region, none, sizes, **settings)


@emit.register
def _(operation: SpaceToDepth, context: EmitContext) -> None:
    context.write(operation, "SpaceToDepth", blocksize=operation.block_size)


@emit.register
def _(operation: DepthToSpace, context: EmitContext) -> None:
    # Depth, column, row: TensorFlow's order of channels. PyTorch's is CRD.
    context.write(operation, "DepthToSpace", blocksize=operation.block_size, mode="DCR")


@emit.register
def _(operation: Pad, context: EmitContext) -> None:
    modes = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}
    top, left, bottom, right = _pads(operation.margins)
    amounts = np.array([0, 0, top, left, 0, 0, bottom, right], np.int64)
    pads = context.file.add_constant(f"{operation.output}/pads", amounts)
    context.write(operation, "Pad", pads, mode=modes[operation.mode])


@emit.register
def _(operation: Crop, context: EmitContext) -> None:
    (top, _), (left, _) = operation.margins
    height, width, _ = operation.shape
    bounds = {"starts": (top, left), "ends": (top + height, left + width), "axes": _SPATIAL}
    constants = [
        context.file.add_constant(f"{operation.output}/{role}", np.array(values, np.int64))
        for role, values in bounds.items()
    ]
    context.write(operation, "Slice", *constants)


@emit.register
def _(operation: Concatenate, context: EmitContext) -> None:
    context.write(operation, "Concat", axis=_AXES[operation.axis])


@emit.register
def _(operation: Quantize, context: EmitContext) -> None:
    context.quantize(operation.output, context.value(operation.inputs[0]))


@emit.register
def _(operation: Dequantize, context: EmitContext) -> None:
    # What a reader of int8 reads is dequantised already.
    context.rename(operation.output, context.value(operation.inputs[0]))


@emit.register
def _(operation: Activate, context: EmitContext) -> None:
    fused: dict[str, FusedActivation] = {"relu": "relu", "relu6": "relu6"}
    if operation.function in fused:
        context.write_activation(operation, fused[operation.function])
        return
    codes = {"leaky_relu": "LeakyRelu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
    slope: dict[str, Any] = {"alpha": operation.slope} if operation.function == "leaky_relu" else {}
    context.write(operation, codes[operation.function], **slope)


@emit.register
def _(operation: InstanceNorm, context: EmitContext) -> None:
    """Write InstanceNorm as ONNX's operator, or by its parts where its statistics are others."""
    name, file = operation.output, context.file
    if operation.epsilon_on == "variance" and not operation.channels_together:
        affine = [file.add_constant(f"{name}/{role}", getattr(operation, role)) for role in ("gamma", "beta")]
        context.write(operation, "InstanceNormalization", *affine, epsilon=operation.epsilon)
        return
    axes = _ALL if operation.channels_together else _SPATIAL
    features = context.value(operation.inputs[0])
    epsilon = file.add_constant(f"{name}/epsilon", np.array(operation.epsilon, np.float32))

    def step(code: str, inputs: list[str], role: str, **attributes: Any) -> str:
        file.add_node(code, inputs, f"{name}/{role}", **attributes)
        return f"{name}/{role}"

    def mean(values: str, role: str) -> str:
        if file.opset < _AXES_AS_INPUT:
            return step("ReduceMean", [values], role, axes=axes, keepdims=1)
        along = file.add_constant(f"axes_{len(axes)}", np.array(axes, np.int64))
        return step("ReduceMean", [values, along], role, keepdims=1)

    centred = step("Sub", [features, mean(features, "mean")], "centred")
    variance = mean(step("Mul", [centred, centred], "squares"), "variance")
    if operation.epsilon_on == "variance":
        deviation = step("Sqrt", [step("Add", [variance, epsilon], "widened")], "deviation")
    else:
        deviation = step("Add", [step("Sqrt", [variance], "root"), epsilon], "deviation")
    normal = step("Div", [centred, deviation], "normal")
    gain = file.add_constant(f"{name}/gain", operation.gamma.reshape(-1, 1, 1))
    offset = file.add_constant(f"{name}/offset", operation.beta.reshape(-1, 1, 1))
    file.add_node("Add", [step("Mul", [normal, gain], "scaled"), offset], context.target(name), name=name)
