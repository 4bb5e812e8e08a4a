"""Float interpreter of the deploy graph in NumPy, for calibration and as a reference for files.

NumPy rather than the float `.tflite`: it is independent of the runtime that it is compared with, and a 0.7 GMAC student
takes a fraction of a second an image, since convolutions are matrix products.
"""

from collections.abc import Callable, Mapping
from functools import singledispatch

import numpy as np

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
    Graph,
    InstanceNorm,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Quantize,
    Resize,
    SpaceToDepth,
    Subtract,
    TransposedConvolution,
    margins_of,
)
from export.interpreter import kernels

Observer = Callable[[str, np.ndarray], None]
"""A function that is called with each tensor's name and values as they are computed."""
Compute = Callable[..., np.ndarray]
"""A function that runs one operation on the values of its inputs."""


def run_graph(
    graph: Graph,
    images: np.ndarray,
    observe: Observer | None = None,
    *,
    others: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Run a graph in float32.

    Args:
        graph: The graph to run.
        images: `(batch, height, width, 3)` float32 in [-1, 1].
        observe: Called with every tensor, the input first.
        others: Its other inputs, likewise, by their names.

    Returns:
        `(batch, height, width, 3)` float32.
    """
    singles = {name: values.astype(np.float32) for name, values in (others or {}).items()}
    return execute_graph(graph, images.astype(np.float32), compute, observe, others=singles)


def execute_graph(
    graph: Graph,
    images: np.ndarray,
    step: Compute,
    observe: Observer | None,
    *,
    others: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Run each operation by `step(operation, *inputs)`; a tensor is dropped when its last reader is done."""
    tensors = {graph.input: images, **(others or {})}
    if observe is not None:
        observe(graph.input, images)
    last_reader = {name: operation for operation in graph.operations for name in operation.inputs}
    for operation in graph.operations:
        tensors[operation.output] = step(operation, *(tensors[name] for name in operation.inputs))
        if observe is not None:
            observe(operation.output, tensors[operation.output])
        for name in set(operation.inputs):
            if last_reader[name] is operation:
                del tensors[name]
    return tensors[graph.output]


@singledispatch
def compute(operation: Operation, *inputs: np.ndarray) -> np.ndarray:
    """Run one operation in float32."""
    raise NotImplementedError(f"{type(operation).__name__} has no float arithmetic here")


@compute.register
def _(operation: Convolution, features: np.ndarray) -> np.ndarray:
    padded = kernels.pad(features, margins_of(operation, features.shape[1:3], operation.kernel.shape[:2]))
    convolved = kernels.convolve(padded, operation.kernel, operation.strides, operation.dilation)
    return activate(convolved + operation.bias, operation.activation)


@compute.register
def _(operation: DepthwiseConvolution, features: np.ndarray) -> np.ndarray:
    padded = kernels.pad(features, margins_of(operation, features.shape[1:3], operation.kernel.shape[:2]))
    convolved = kernels.convolve_depthwise(padded, operation.kernel, operation.strides, operation.dilation)
    return activate(convolved + operation.bias, operation.activation)


@compute.register
def _(operation: TransposedConvolution, features: np.ndarray) -> np.ndarray:
    convolved = kernels.convolve_transposed(
        features, operation.kernel, operation.strides, operation.shape[:2], same=operation.padding == "same"
    )
    return activate(convolved + operation.bias, operation.activation)


@compute.register
def _(operation: Add, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return activate(first + second, operation.activation)


@compute.register
def _(operation: Multiply, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return activate(first * second, operation.activation)


@compute.register
def _(operation: Subtract, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first - second


@compute.register
def _(operation: Divide, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first / second


@compute.register
def _(operation: Affine, features: np.ndarray) -> np.ndarray:
    return features * np.float32(operation.gain) + np.float32(operation.offset)


@compute.register
def _(operation: Clip, features: np.ndarray) -> np.ndarray:
    return np.clip(features, np.float32(operation.least), np.float32(operation.greatest))


@compute.register
def _(operation: Mean, features: np.ndarray) -> np.ndarray:
    return features.mean(axis=(1, 2), keepdims=True)


@compute.register
def _(operation: Pool, features: np.ndarray) -> np.ndarray:
    margins = margins_of(operation, features.shape[1:3], operation.size)
    if operation.kind == "max":
        padded = kernels.pad(features, margins, value=-np.inf)
        return kernels.view_windows(padded, operation.size, operation.strides).max(axis=(3, 4))
    inside = kernels.view_windows(kernels.pad(np.ones_like(features), margins), operation.size, operation.strides)
    summed = kernels.view_windows(kernels.pad(features, margins), operation.size, operation.strides).sum(axis=(3, 4))
    return summed / inside.sum(axis=(3, 4))


@compute.register
def _(operation: Resize, images: np.ndarray) -> np.ndarray:
    if operation.method == "nearest":
        return kernels.resize_nearest(images, operation.shape[:2])
    top, bottom, down = kernels.neighbours(images.shape[1], operation.shape[0])
    left, right, across = kernels.neighbours(images.shape[2], operation.shape[1])
    rows = images[:, top] + (images[:, bottom] - images[:, top]) * down[:, np.newaxis, np.newaxis]
    return rows[:, :, left] + (rows[:, :, right] - rows[:, :, left]) * across[:, np.newaxis]


@compute.register
def _(operation: SpaceToDepth, images: np.ndarray) -> np.ndarray:
    return kernels.space_to_depth(images, operation.block_size)


@compute.register
def _(operation: DepthToSpace, features: np.ndarray) -> np.ndarray:
    return kernels.depth_to_space(features, operation.block_size)


@compute.register
def _(operation: Pad, images: np.ndarray) -> np.ndarray:
    if operation.mode == "zero":
        return kernels.pad(images, operation.margins)
    mode = "reflect" if operation.mode == "reflect" else "edge"
    return np.pad(images, ((0, 0), *operation.margins, (0, 0)), mode=mode)


@compute.register
def _(operation: Crop, images: np.ndarray) -> np.ndarray:
    return kernels.crop(images, operation.margins)


@compute.register
def _(operation: Concatenate, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=AXES[operation.axis])


@compute.register
def _(operation: InstanceNorm, features: np.ndarray) -> np.ndarray:
    axes = (1, 2, 3) if operation.channels_together else (1, 2)
    centred = features - features.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    if operation.epsilon_on == "variance":
        deviation = np.sqrt(variance + np.float32(operation.epsilon))
    else:
        deviation = np.sqrt(variance) + np.float32(operation.epsilon)
    return centred * (operation.gamma / deviation) + operation.beta


@compute.register(Quantize)
@compute.register(Dequantize)
def _(operation: Operation, features: np.ndarray) -> np.ndarray:
    """Pass values on: in float nothing is rounded."""
    return features


@compute.register
def _(operation: Activate, features: np.ndarray) -> np.ndarray:
    return activate(features, operation.function, operation.slope)


def activate(features: np.ndarray, function: str, slope: float = 0.0) -> np.ndarray:
    """Apply a function of the deploy graph to float values."""
    if function == "relu":
        return np.maximum(features, 0)
    if function == "relu6":
        return np.clip(features, 0, 6)
    if function == "leaky_relu":
        return np.where(features < 0, features * np.float32(slope), features)
    if function == "tanh":
        return np.tanh(features)
    if function == "sigmoid":
        return 1 / (1 + np.exp(-features))
    if function == "exp":
        return np.exp(features)
    return features
