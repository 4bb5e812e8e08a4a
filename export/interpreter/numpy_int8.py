"""Integer-exact interpreter of a quantised graph in NumPy, step for step as XNNPACK computes in int8.

Accumulators are exact integers; each function names the rounding of the kernel it follows. Float operations are
computed in float32, between the same roundings. Where this interpreter and the runtime disagree, one of them is wrong,
so that a parity check against it is tight where one against float is loose.

Source: the kernels and parameter set-up of google/XNNPACK (`src/microparams-init.c`, `src/qs8-*`, `src/s8-ibilinear`).
"""

from functools import singledispatch

import numpy as np

from export.graph.operations import (
    Activate,
    Add,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Dequantize,
    FusedActivation,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Quantize,
    Resize,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
    margins_of,
)
from export.graph.quantized import QuantizedGraph, TensorScale
from export.interpreter import kernels
from export.interpreter.numpy_float import Observer, activate, compute, execute_graph

_RELU6_TOP = 6.0


def run_int8_graph(quantized: QuantizedGraph, images: np.ndarray, observe: Observer | None = None) -> np.ndarray:
    """Run a quantised graph in integers.

    Args:
        quantized: The graph to run.
        images: `(batch, height, width, 3)` int8, at the scale of the graph's input.
        observe: Called with every tensor, the input first; int8, or float32 where the graph computes in float.

    Returns:
        `(batch, height, width, 3)` int8, at the scale of the graph's output.
    """

    def step(operation: Operation, *inputs: np.ndarray) -> np.ndarray:
        if quantized.is_integer(operation) or isinstance(operation, Dequantize):
            return compute_int8(operation, quantized, *inputs)
        return compute(operation, *inputs)

    return execute_graph(quantized.graph, images, step, observe)


@singledispatch
def compute_int8(operation: Operation, quantized: QuantizedGraph, *inputs: np.ndarray) -> np.ndarray:
    """Run one operation that reads or writes int8 values."""
    raise NotImplementedError(f"{type(operation).__name__} has no integer arithmetic here")


@compute_int8.register
def _(operation: Convolution, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    padded = kernels.pad(_centred(operation, quantized, features), _margins(operation, features))
    kernel = quantized.weights[operation.output].kernel.astype(np.float64)
    sums = kernels.convolve(padded, kernel, operation.strides, operation.dilation)
    return _requantize_sums(operation, quantized, sums)


@compute_int8.register
def _(operation: DepthwiseConvolution, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    padded = kernels.pad(_centred(operation, quantized, features), _margins(operation, features))
    kernel = quantized.weights[operation.output].kernel.astype(np.float64)
    sums = kernels.convolve_depthwise(padded, kernel, operation.strides, operation.dilation)
    return _requantize_sums(operation, quantized, sums)


@compute_int8.register
def _(operation: TransposedConvolution, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    kernel = quantized.weights[operation.output].kernel.astype(np.float64)
    centred, same = _centred(operation, quantized, features), operation.padding == "same"
    sums = kernels.convolve_transposed(centred, kernel, operation.strides, operation.shape[:2], same=same)
    return _requantize_sums(operation, quantized, sums)


def _margins(operation: Weighted, features: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    return margins_of(operation, features.shape[1:3], operation.kernel.shape[:2])


def _centred(operation: Operation, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    """Return integers relative to their zero point, in float64, where sums of products stay exact."""
    return features.astype(np.float64) - quantized.tensors[operation.inputs[0]].zero_point


def _requantize_sums(operation: Weighted, quantized: QuantizedGraph, sums: np.ndarray) -> np.ndarray:
    weights, target = quantized.weights[operation.output], quantized.tensors[operation.output]
    input_scale = np.float32(quantized.tensors[operation.inputs[0]].scale)
    factors = input_scale * weights.scales / np.float32(target.scale)
    return _requantize(sums + weights.bias, factors, target, operation.activation)


def _requantize(
    sums: np.ndarray, factor: np.ndarray | np.float32, target: TensorScale, activation: FusedActivation = "none"
) -> np.ndarray:
    """Scale in float32 and round to nearest even: the `fp32` requantisation of XNNPACK."""
    scaled = np.rint(sums.astype(np.float32) * factor)
    return _saturate(scaled + target.zero_point, target, activation)


def _saturate(values: np.ndarray, target: TensorScale, activation: FusedActivation) -> np.ndarray:
    least = -128 if activation == "none" else max(-128, target.zero_point)
    greatest = 127
    if activation == "relu6":
        greatest = min(127, int(np.rint(np.float32(_RELU6_TOP) / np.float32(target.scale))) + target.zero_point)
    return np.clip(values, least, greatest).astype(np.int8)


@compute_int8.register
def _(operation: Add, quantized: QuantizedGraph, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Add in fixed point: multipliers of 20 bits, the sum shifted right and rounded half up."""
    target = quantized.tensors[operation.output]
    sources = [quantized.tensors[name] for name in operation.inputs]
    ratios = [np.float32(source.scale) / np.float32(target.scale) for source in sources]
    shift = 20 - (int(np.frexp(max(ratios))[1]) - 1)
    total = np.full(operation.shape, 1 << (shift - 1), dtype=np.int64)
    for values, source, ratio in zip((first, second), sources, ratios, strict=True):
        multiplier = np.int64(np.rint(np.ldexp(np.float64(ratio), shift)))
        total = total + multiplier * (values.astype(np.int64) - source.zero_point)
    return _saturate((total >> shift) + target.zero_point, target, operation.activation)


@compute_int8.register
def _(operation: Multiply, quantized: QuantizedGraph, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    target = quantized.tensors[operation.output]
    one, other = (quantized.tensors[name] for name in operation.inputs)
    products = (first.astype(np.int64) - one.zero_point) * (second.astype(np.int64) - other.zero_point)
    factor = np.float32(one.scale) * np.float32(other.scale) / np.float32(target.scale)
    return _requantize(products, factor, target, operation.activation)


@compute_int8.register
def _(operation: Mean, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    """Scale the sum of the integers as they are, and add what both zero points come to, as XNNPACK does: in float32.

    That is another number than the centred sum scaled where that lies within some 1e-5 of a half, and a context block
    hands a mean's last step on to the whole image.
    """
    sums = features.astype(np.int64).sum(axis=(1, 2), keepdims=True).astype(np.float32)
    target, source = quantized.tensors[operation.output], quantized.tensors[operation.inputs[0]]
    ratio = np.float32(source.scale) / np.float32(target.scale)
    offset = np.float32(target.zero_point) - np.float32(source.zero_point) * ratio
    pixels = np.float32(features.shape[1] * features.shape[2])
    return _saturate(np.rint(sums * (ratio / pixels) + offset), target, "none")


@compute_int8.register
def _(operation: Pool, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    if operation.kind == "max":
        return compute(operation, features.astype(np.float32)).astype(np.int8)
    # TFLite's own kernel, since XNNPACK does not take it: the mean of the integers, rounded half away from zero.
    mean = compute(operation, features.astype(np.float64))
    return (np.sign(mean) * np.floor(np.abs(mean) + 0.5)).astype(np.int8)


@compute_int8.register
def _(operation: Resize, quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    """Blend rows across, then down, by bilinear weights of 11 bits, and round half up once."""
    if operation.method == "nearest":
        return kernels.resize_nearest(images, operation.shape[:2])
    wide = images.astype(np.int64)
    top, bottom, down = kernels.neighbours(images.shape[1], operation.shape[0])
    left, right, across = kernels.neighbours(images.shape[2], operation.shape[1])
    weights_down, weights_across = (np.rint(np.ldexp(weights, 11)).astype(np.int64) for weights in (down, across))
    blended = (wide[:, :, left] << 11) + (wide[:, :, right] - wide[:, :, left]) * weights_across[:, np.newaxis]
    difference = (blended[:, bottom] - blended[:, top]) * weights_down[:, np.newaxis, np.newaxis]
    return (((blended[:, top] << 11) + difference + (1 << 21)) >> 22).astype(np.int8)


@compute_int8.register
def _(operation: Pad, quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    if operation.mode != "zero":
        return compute(operation, images)
    return kernels.pad(images, operation.margins, value=quantized.tensors[operation.output].zero_point)


@compute_int8.register(SpaceToDepth)
@compute_int8.register(DepthToSpace)
@compute_int8.register(Crop)
@compute_int8.register(Concatenate)
def _(operation: Operation, quantized: QuantizedGraph, *inputs: np.ndarray) -> np.ndarray:
    return compute(operation, *inputs)


@compute_int8.register
def _(operation: Quantize, quantized: QuantizedGraph, values: np.ndarray) -> np.ndarray:
    return quantized.tensors[operation.output].quantize(values)


@compute_int8.register
def _(operation: Dequantize, quantized: QuantizedGraph, integers: np.ndarray) -> np.ndarray:
    return quantized.tensors[operation.inputs[0]].dequantize(integers)


@compute_int8.register
def _(operation: Activate, quantized: QuantizedGraph, features: np.ndarray) -> np.ndarray:
    source, target = quantized.tensors[operation.inputs[0]], quantized.tensors[operation.output]
    if operation.function in ("relu", "relu6"):
        return _convert(features, source, target)
    if operation.function == "leaky_relu":
        below = _convert(features, source, target, slope=operation.slope)
        return np.where(features < source.zero_point, below, _convert(features, source, target))
    # 256 possible inputs: a table, as the kernels do it.
    integers = np.arange(-128, 128)
    values = activate(source.dequantize(integers), operation.function, operation.slope)
    return target.quantize(values)[features.astype(np.int64) + 128]


def _convert(values: np.ndarray, source: TensorScale, target: TensorScale, *, slope: float = 1.0) -> np.ndarray:
    """Change the scale in fixed point: a multiplier of 8 bits behind the point, rounded half up."""
    factor = np.float32(source.scale) / np.float32(target.scale) * np.float32(slope)
    multiplier = np.int64(np.rint(256 * factor))
    scaled = (values.astype(np.int64) - source.zero_point) * multiplier + 128 >> 8
    return _saturate(scaled + target.zero_point, target, "none")
