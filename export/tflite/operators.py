"""One function for each operation of the deploy graph, which writes it as TFLite's operators.

Operator versions are the least that hold what is written, so that old runtimes read the file.
"""

from collections.abc import Callable
from functools import singledispatch
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress.errors import UnsupportedLayer
from export.graph.operations import (
    AXES,
    Activate,
    Add,
    Affine,
    Clip,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Dequantize,
    Divide,
    FusedActivation,
    Graph,
    InstanceNorm,
    Mean,
    Multiply,
    Operation,
    Pad,
    Padding,
    Pool,
    Quantize,
    Resize,
    SpaceToDepth,
    Subtract,
    TransposedConvolution,
    Weighted,
)
from export.graph.quantized import QuantizedGraph, quantize_kernel
from export.tflite.file import Subgraph, quantization_parameters

_ACTIVATIONS: dict[FusedActivation, int] = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}
_PADDINGS: dict[Padding, int] = {"same": schema.Padding.SAME, "valid": schema.Padding.VALID}
_SPATIAL_AXES = np.array([1, 2], dtype=np.int32)
_ALL_AXES = np.array([1, 2, 3], dtype=np.int32)


FloatWeights = Literal["fp32", "fp16", "dynamic"]
"""Storage of a float file's kernels: `fp16` and `dynamic` (int8, one scale per output channel) compute in float."""
Layout = Callable[[np.ndarray], np.ndarray]
"""Turns a kernel of the graph into TFLite's order of axes."""


class EmitContext:
    """The subgraph that operations are written to, its tensors by name, and the storage of its numbers."""

    def __init__(
        self,
        file: Subgraph,
        graph: Graph,
        *,
        weights: FloatWeights = "fp32",
        quantized: QuantizedGraph | None = None,
        suffix: str = "",
    ) -> None:
        self.file, self.graph, self.weights, self.quantized, self.suffix = file, graph, weights, quantized, suffix
        self._indices: dict[str, int] = {}

    def is_integer(self, operation: Operation) -> bool:
        """Return whether an operation writes int8."""
        return self.quantized is not None and self.quantized.is_integer(operation)

    def tensor(self, name: str) -> int:
        """Return the index of a tensor of the graph, which is declared when it is first asked for."""
        if name not in self._indices:
            shape = (1, *self.graph.shapes[name])
            scale = None if self.quantized is None else self.quantized.tensors.get(name)
            own = name + self.suffix if name in (*self.graph.inputs, self.graph.output) else name
            if scale is None:
                self._indices[name] = self.file.add_tensor(own, shape, np.float32)
            else:
                parameters = quantization_parameters([scale.scale], [scale.zero_point])
                self._indices[name] = self.file.add_tensor(own, shape, np.int8, parameters)
        return self._indices[name]

    def operator(
        self, code: str, operation: Operation, *constants: int, options: Any = None, version: int | None = None
    ) -> None:
        """Write an operator that reads the operation's inputs, then constants. int8 came with version 2 of most."""
        inputs = [self.tensor(name) for name in operation.inputs]
        least = 2 if self.is_integer(operation) else 1
        self.file.add_operator(code, version or least, [*inputs, *constants], self.tensor(operation.output), options)


@singledispatch
def emit(operation: Operation, context: EmitContext) -> None:
    """Write one operation of the graph."""
    raise NotImplementedError(f"{type(operation).__name__} has no form in TFLite")


@emit.register
def _(operation: Convolution, context: EmitContext) -> None:
    options = schema.Conv2DOptionsT()
    _set_geometry(options, operation)
    options.dilationHFactor, options.dilationWFactor = operation.dilation
    weights = _weights(operation, context, layout=lambda kernel: kernel.transpose(3, 0, 1, 2), axis=0)
    # Float activations with int8 weights of one scale per channel came with version 5.
    version = 3 if context.is_integer(operation) else 5 if context.weights == "dynamic" else 1
    context.operator("CONV_2D", operation, *weights, options=options, version=version)


@emit.register
def _(operation: DepthwiseConvolution, context: EmitContext) -> None:
    height, width, _, multiplier = operation.kernel.shape
    options = schema.DepthwiseConv2DOptionsT()
    _set_geometry(options, operation)
    options.depthMultiplier = multiplier
    options.dilationHFactor, options.dilationWFactor = operation.dilation
    weights = _weights(operation, context, layout=lambda kernel: kernel.reshape(1, height, width, -1), axis=3)
    version = 3 if context.is_integer(operation) else 2 if operation.dilation != (1, 1) else 1
    context.operator("DEPTHWISE_CONV_2D", operation, *weights, options=options, version=version)


@emit.register
def _(operation: TransposedConvolution, context: EmitContext) -> None:
    options = schema.TransposeConvOptionsT()
    _set_geometry(options, operation)
    kernel, bias = _weights(operation, context, layout=lambda kernel: kernel.transpose(2, 0, 1, 3), axis=0)
    size = np.array([1, *operation.shape], dtype=np.int32)
    shape = context.file.add_constant(f"{operation.output}/shape", size)
    # Version 3 brought the bias, version 4 the fused activation.
    version = 3 if operation.activation == "none" else 4
    inputs = [shape, kernel, context.tensor(operation.inputs[0]), bias]
    context.file.add_operator("TRANSPOSE_CONV", version, inputs, context.tensor(operation.output), options)


def _set_geometry(options: Any, operation: Weighted) -> None:
    options.strideH, options.strideW = operation.strides
    options.padding = _PADDINGS[operation.padding]
    options.fusedActivationFunction = _ACTIVATIONS[operation.activation]


def _weights(operation: Weighted, context: EmitContext, *, layout: Layout, axis: int) -> tuple[int, int]:
    """Store kernel and bias; return their tensors."""
    file, name = context.file, operation.output
    if context.quantized is not None and context.is_integer(operation):
        weights = context.quantized.weights[name]
        input_scale = np.float32(context.quantized.tensors[operation.inputs[0]].scale)
        kernel = _add_int8_kernel(file, f"{name}/kernel", layout(weights.kernel), weights.scales, axis=axis)
        zeros = np.zeros(weights.bias.size, dtype=np.int32)
        bias_scales = quantization_parameters(weights.scales * input_scale, zeros)
        return kernel, file.add_constant(f"{name}/bias", weights.bias, bias_scales)
    bias = file.add_constant(f"{name}/bias", operation.bias)
    if context.weights == "fp32":
        return file.add_constant(f"{name}/kernel", layout(operation.kernel)), bias
    if context.weights == "fp16":
        stored = file.add_constant(f"{name}/kernel_fp16", layout(operation.kernel).astype(np.float16))
        return _dequantized(file, stored, operation, layout, version=3), bias
    integers, scales = quantize_kernel(operation)
    stored = _add_int8_kernel(file, f"{name}/kernel_int8", layout(integers), scales, axis=axis)
    if isinstance(operation, Convolution):
        return stored, bias
    # With float activations XNNPACK takes no int8 depthwise kernels; tflite-runtime 2.14 refuses transposed ones.
    return _dequantized(file, stored, operation, layout, version=5), bias


def _add_int8_kernel(file: Subgraph, name: str, integers: np.ndarray, scales: np.ndarray, *, axis: int) -> int:
    zeros = np.zeros(scales.size, dtype=np.int32)
    return file.add_constant(name, integers, quantization_parameters(scales, zeros, axis=axis))


def _dequantized(file: Subgraph, stored: int, operation: Weighted, layout: Layout, *, version: int) -> int:
    """Put a DEQUANTIZE behind a stored kernel: a delegate runs it once, when it loads the file."""
    kernel = file.add_tensor(f"{operation.output}/kernel", layout(operation.kernel).shape, np.float32)
    file.add_operator("DEQUANTIZE", version, [stored], kernel)
    return kernel


@emit.register
def _(operation: Add, context: EmitContext) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = _ACTIVATIONS[operation.activation]
    options.potScaleInt16 = False
    context.operator("ADD", operation, options=options)


@emit.register
def _(operation: Multiply, context: EmitContext) -> None:
    options = schema.MulOptionsT()
    options.fusedActivationFunction = _ACTIVATIONS[operation.activation]
    context.operator("MUL", operation, options=options)


@emit.register
def _(operation: Subtract, context: EmitContext) -> None:
    context.operator("SUB", operation, options=schema.SubOptionsT())


@emit.register
def _(operation: Divide, context: EmitContext) -> None:
    context.operator("DIV", operation, options=schema.DivOptionsT())


@emit.register
def _(operation: Affine, context: EmitContext) -> None:
    steps = [("MUL", operation.gain, schema.MulOptionsT)] if operation.gain != 1 else []
    steps += [("ADD", operation.offset, schema.AddOptionsT)] if operation.offset != 0 or not steps else []
    _apply_constants(operation, context, steps)


@emit.register
def _(operation: Clip, context: EmitContext) -> None:
    options = schema.MaximumMinimumOptionsT
    bounds = [("MAXIMUM", operation.least, options), ("MINIMUM", operation.greatest, options)]
    _apply_constants(operation, context, bounds)


def _apply_constants(operation: Operation, context: EmitContext, steps: list[tuple[str, float, Any]]) -> None:
    """Write operators of a tensor and a number, one after the other."""
    file, name = context.file, operation.output
    read = context.tensor(operation.inputs[0])
    for code, number, options in steps:
        constant = file.add_constant(f"{name}/{code.lower()}", np.array(number, dtype=np.float32))
        is_last = code == steps[-1][0]
        between = f"{name}/after_{code.lower()}"
        made = context.tensor(name) if is_last else file.add_tensor(between, (1, *operation.shape), np.float32)
        file.add_operator(code, 1, [read, constant], made, options())
        read = made


@emit.register
def _(operation: Mean, context: EmitContext) -> None:
    options = schema.ReducerOptionsT()
    options.keepDims = True
    axes = context.file.add_constant("spatial_axes", _SPATIAL_AXES)
    context.operator("MEAN", operation, axes, options=options)


@emit.register
def _(operation: Pool, context: EmitContext) -> None:
    options = schema.Pool2DOptionsT()
    options.filterHeight, options.filterWidth = operation.size
    options.strideH, options.strideW = operation.strides
    options.padding = _PADDINGS[operation.padding]
    code = "AVERAGE_POOL_2D" if operation.kind == "average" else "MAX_POOL_2D"
    context.operator(code, operation, options=options)


@emit.register
def _(operation: Resize, context: EmitContext) -> None:
    bilinear = operation.method == "bilinear"
    options = schema.ResizeBilinearOptionsT() if bilinear else schema.ResizeNearestNeighborOptionsT()
    options.halfPixelCenters = True
    size = context.file.add_constant(f"{operation.output}/size", np.array(operation.shape[:2], dtype=np.int32))
    code = "RESIZE_BILINEAR" if bilinear else "RESIZE_NEAREST_NEIGHBOR"
    # Half-pixel centres came with version 3.
    context.operator(code, operation, size, options=options, version=3)


@emit.register
def _(operation: SpaceToDepth, context: EmitContext) -> None:
    options = schema.SpaceToDepthOptionsT()
    options.blockSize = operation.block_size
    context.operator("SPACE_TO_DEPTH", operation, options=options)


@emit.register
def _(operation: DepthToSpace, context: EmitContext) -> None:
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = operation.block_size
    context.operator("DEPTH_TO_SPACE", operation, options=options)


@emit.register
def _(operation: Pad, context: EmitContext) -> None:
    margins = np.array([(0, 0), *operation.margins, (0, 0)], dtype=np.int32)
    constant = context.file.add_constant(f"{operation.output}/margins", margins)
    if operation.mode == "zero":
        context.operator("PAD", operation, constant, options=schema.PadOptionsT())
        return
    if operation.mode != "reflect":
        raise UnsupportedLayer(f"{operation.output} repeats its border, which TFLite writes by slices alone.")
    options = schema.MirrorPadOptionsT()
    options.mode = schema.MirrorPadMode.REFLECT
    context.operator("MIRROR_PAD", operation, constant, options=options)


@emit.register
def _(operation: Crop, context: EmitContext) -> None:
    (top, _), (left, _) = operation.margins
    height, width, channels = operation.shape
    bounds = {
        "begin": (0, top, left, 0),
        "end": (1, top + height, left + width, channels),
        "strides": (1, 1, 1, 1),
    }
    constants = [
        context.file.add_constant(f"{operation.output}/{role}", np.array(values, dtype=np.int32))
        for role, values in bounds.items()
    ]
    context.operator("STRIDED_SLICE", operation, *constants, options=schema.StridedSliceOptionsT())


@emit.register
def _(operation: Concatenate, context: EmitContext) -> None:
    options = schema.ConcatenationOptionsT()
    options.axis = AXES[operation.axis]
    context.operator("CONCATENATION", operation, options=options)


@emit.register
def _(operation: Quantize, context: EmitContext) -> None:
    context.operator("QUANTIZE", operation, version=1)


@emit.register
def _(operation: Dequantize, context: EmitContext) -> None:
    # int8 came with version 2.
    context.operator("DEQUANTIZE", operation, version=2)


@emit.register
def _(operation: Activate, context: EmitContext) -> None:
    if context.is_integer(operation) and operation.function in ("relu", "relu6"):
        # XNNPACK takes no int8 RELU by itself. QUANTIZE to a range that starts at zero saturates to the same values.
        context.operator("QUANTIZE", operation)
        return
    codes = {
        "relu": "RELU",
        "relu6": "RELU6",
        "leaky_relu": "LEAKY_RELU",
        "tanh": "TANH",
        "sigmoid": "LOGISTIC",
        "exp": "EXP",
    }
    options = None
    if operation.function == "leaky_relu":
        options = schema.LeakyReluOptionsT()
        options.alpha = operation.slope
    context.operator(codes[operation.function], operation, options=options)


@emit.register
def _(operation: InstanceNorm, context: EmitContext) -> None:
    """Write InstanceNorm as the TensorFlow converter does: the baseline is the file that people ship.

    `inverse = rsqrt(mean((x - mean)^2) + epsilon) * gamma`, then `x * inverse + (beta - mean * inverse)`; where epsilon
    is added to the deviation, `inverse = gamma / (sqrt(mean((x - mean)^2)) + epsilon)`.
    """
    file, name = context.file, operation.output
    channels = operation.shape[2]
    features = context.tensor(operation.inputs[0])
    together = operation.channels_together
    axes = file.add_constant(*(("all_axes", _ALL_AXES) if together else ("spatial_axes", _SPATIAL_AXES)))
    epsilon = file.add_constant(f"{name}/epsilon", np.array(operation.epsilon, dtype=np.float32))
    gamma = file.add_constant(f"{name}/gamma", operation.gamma)
    beta = file.add_constant(f"{name}/beta", operation.beta)
    each, whole = (1, 1, 1, channels), (1, *operation.shape)
    statistic = (1, 1, 1, 1) if operation.channels_together else each
    reducer = schema.ReducerOptionsT()
    reducer.keepDims = True
    add, multiply, subtract = schema.AddOptionsT(), schema.MulOptionsT(), schema.SubOptionsT()

    def step(code: str, inputs: list[int], role: str, shape: tuple[int, ...], options: Any = None) -> int:
        output = file.add_tensor(f"{name}/{role}", shape, np.float32)
        file.add_operator(code, 1, inputs, output, options)
        return output

    mean = step("MEAN", [features, axes], "mean", statistic, reducer)
    squares = step("SQUARED_DIFFERENCE", [features, mean], "squares", whole, schema.SquaredDifferenceOptionsT())
    variance = step("MEAN", [squares, axes], "variance", statistic, reducer)
    if operation.epsilon_on == "variance":
        widened = step("ADD", [variance, epsilon], "widened", statistic, add)
        inverse = step("MUL", [step("RSQRT", [widened], "rsqrt", statistic), gamma], "inverse", each, multiply)
    else:
        widened = step("ADD", [step("SQRT", [variance], "deviation", statistic), epsilon], "widened", statistic, add)
        inverse = step("DIV", [gamma, widened], "inverse", each, schema.DivOptionsT())
    offset = step("SUB", [beta, step("MUL", [mean, inverse], "scaled_mean", each, multiply)], "offset", each, subtract)
    scaled = step("MUL", [features, inverse], "scaled", whole, multiply)
    file.add_operator("ADD", 1, [scaled, offset], context.tensor(name), add)
