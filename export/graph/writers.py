"""Writers of each kind of layer into the deploy graph, whoever holds the layer: Keras, or a reader's description.

A layer is any object with the attributes of the Keras layer of its kind: `name`, `kernel`, `strides`, ...
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress.errors import UnsupportedLayer
from export.graph.operations import (
    INPUT,
    OUTPUT,
    Activate,
    Add,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Function,
    InstanceNorm,
    Mean,
    Multiply,
    Operation,
    Pad,
    Pool,
    Resize,
    Shape,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
)


class Lowering:
    """The operations that are written so far, and their shapes."""

    def __init__(self, input_shape: Shape) -> None:
        self.operations: list[Operation] = []
        self.shapes: dict[str, Shape] = {INPUT: input_shape}

    def add(self, kind: type[Operation], inputs: Sequence[str], shape: Shape, name: str, /, **fields: Any) -> str:
        """Append an operation; its output gets a name of its own where a layer is used twice."""
        output, uses = name, 1
        while output in self.shapes or output == OUTPUT:
            uses += 1
            output = f"{name}_{uses}"
        self.operations.append(kind(inputs=tuple(inputs), output=output, shape=shape, **fields))
        self.shapes[output] = shape
        return output

    def shape_after(self, layer: Any, inputs: Sequence[str]) -> Shape:
        shapes = [(1, *self.shapes[name]) for name in inputs]
        _, height, width, channels = layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])
        return height, width, channels


Writer = Callable[[Lowering, Any, list[str]], str]
"""Function that writes a layer over the named inputs and returns the name of its output."""


def kind_of(layer: Any) -> str:
    """Return the name of a layer's class, or the kind that a description gives it."""
    return getattr(layer, "kind", type(layer).__name__)


def _weighted(kind: type[Weighted]) -> Writer:
    def write(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
        _require(layer, getattr(layer, "groups", 1) == 1, "groups = 1")
        kernel = _array(layer.kernel)
        return _add_weighted(lowering, kind, layer, inputs, kernel, layer.strides, layer.dilation_rate)

    return write


def _add_weighted(
    lowering: Lowering, kind: type[Weighted], layer: Any, inputs: list[str], kernel: Any, strides: Any, dilation: Any
) -> str:
    shape = lowering.shape_after(layer, inputs)
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(shape[2], np.float32)
    _require(layer, layer.padding in ("same", "valid"), 'padding "same" or "valid"')
    geometry = {"strides": tuple(strides), "padding": layer.padding, "dilation": tuple(dilation)}
    output = lowering.add(kind, inputs, shape, layer.name, kernel=kernel, bias=bias, **geometry)
    return _add_function(lowering, layer, layer.activation, output)


def _separable(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    depthwise, pointwise = _array(layer.depthwise_kernel), _array(layer.pointwise_kernel)
    height, width, _ = lowering.shape_after(layer, inputs)
    geometry = {"strides": tuple(layer.strides), "padding": layer.padding, "dilation": tuple(layer.dilation_rate)}
    channels = depthwise.shape[2] * depthwise.shape[3]
    between = lowering.add(
        DepthwiseConvolution,
        inputs,
        (height, width, channels),
        f"{layer.name}_depthwise",
        kernel=depthwise,
        bias=np.zeros(channels, np.float32),
        **geometry,
    )
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(pointwise.shape[3], np.float32)
    shape = (height, width, pointwise.shape[3])
    output = lowering.add(Convolution, [between], shape, layer.name, kernel=pointwise, bias=bias)
    return _add_function(lowering, layer, layer.activation, output)


def _batch_normalization(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.axis in (-1, 3), "axis = -1")
    # In double precision: a small variance makes a large gain, and its error would be multiplied into every weight.
    gain = 1.0 / np.sqrt(_array(layer.moving_variance).astype(np.float64) + layer.epsilon)
    gain = gain * _array(layer.gamma) if layer.gamma is not None else gain
    offset = -_array(layer.moving_mean).astype(np.float64) * gain
    offset = offset + _array(layer.beta) if layer.beta is not None else offset
    kernel = gain.reshape(1, 1, -1, 1)
    return lowering.add(
        DepthwiseConvolution, inputs, lowering.shapes[inputs[0]], layer.name, kernel=kernel, bias=offset
    )


def _instance_normalization(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    shape = lowering.shapes[inputs[0]]
    ones = np.ones(shape[2], np.float32)
    gamma = ones * _array(layer.gamma) if layer.gamma is not None else ones
    beta = ones * _array(layer.beta) if layer.beta is not None else np.zeros(shape[2], np.float32)
    variant: dict[str, Any] = {}
    if kind_of(layer) == "ContribInstanceNormalization":
        variant = {"epsilon_on": "deviation", "channels_together": not layer.per_channel}
    arguments = {"gamma": gamma, "beta": beta, "epsilon": layer.epsilon, **variant}
    return lowering.add(InstanceNorm, inputs, shape, layer.name, **arguments)


def _activation(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    return _add_function(lowering, layer, layer.activation, inputs[0], own_name=True)


def _add_function(lowering: Lowering, layer: Any, activation: Any, tensor: str, *, own_name: bool = False) -> str:
    name = getattr(activation, "__name__", str(activation))
    functions: dict[str, Function] = {
        "relu": "relu",
        "relu6": "relu6",
        "tanh": "tanh",
        "sigmoid": "sigmoid",
        "leaky_relu": "leaky_relu",
    }
    if name == "linear":
        return tensor
    if name not in functions:
        raise UnsupportedLayer(
            f"layer {layer.name} uses the activation {name}; a phone's file can hold {', '.join(functions)} or linear."
        )
    # keras.activations.leaky_relu has a slope of 0.2 below zero.
    slope = {"slope": 0.2} if name == "leaky_relu" else {}
    own = layer.name if own_name else f"{layer.name}_{name}"
    return lowering.add(Activate, [tensor], lowering.shapes[tensor], own, function=functions[name], **slope)


def _relu(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.threshold == 0 and layer.max_value in (None, 6), "threshold = 0 and max_value = None or 6")
    slope = float(layer.negative_slope)
    _require(layer, slope == 0 or layer.max_value is None, "a negative slope or a maximum, not both")
    function: Function = "leaky_relu" if slope else "relu6" if layer.max_value else "relu"
    shape = lowering.shapes[inputs[0]]
    return lowering.add(Activate, inputs, shape, layer.name, function=function, slope=slope)


def _leaky_relu(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    slope = float(layer.negative_slope)
    return lowering.add(Activate, inputs, lowering.shapes[inputs[0]], layer.name, function="leaky_relu", slope=slope)


def _merge(kind: type[Operation]) -> Writer:
    def write(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
        _require(layer, len(inputs) >= 2, "at least two inputs")
        total = inputs[0]
        for index, name in enumerate(inputs[1:], start=2):
            sides = zip(lowering.shapes[total], lowering.shapes[name], strict=True)
            height, width, channels = (max(pair) for pair in sides)
            own = layer.name if index == len(inputs) else f"{layer.name}_{index}"
            total = lowering.add(kind, [total, name], (height, width, channels), own)
        return total

    return write


def _concatenate(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.axis in (-1, 3), "axis = -1")
    return lowering.add(Concatenate, inputs, lowering.shape_after(layer, inputs), layer.name)


def _pad(mode: str) -> Writer:
    def write(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
        shape = lowering.shape_after(layer, inputs)
        return lowering.add(Pad, inputs, shape, layer.name, margins=_margins(layer.padding), mode=mode)

    return write


def _crop(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    margins = _margins(layer.cropping)
    return lowering.add(Crop, inputs, lowering.shape_after(layer, inputs), layer.name, margins=margins)


def _up_sampling(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    method = layer.interpolation
    _require(layer, method in ("nearest", "bilinear"), 'interpolation "nearest" or "bilinear"')
    return lowering.add(Resize, inputs, lowering.shape_after(layer, inputs), layer.name, method=method)


def _global_mean(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.keepdims, "keepdims = True")
    return lowering.add(Mean, inputs, (1, 1, lowering.shapes[inputs[0]][2]), layer.name)


def _pool(kind: str) -> Writer:
    def write(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
        fields = {"size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding}
        return lowering.add(Pool, inputs, lowering.shape_after(layer, inputs), layer.name, kind=kind, **fields)

    return write


def _shuffle(kind: type[Operation]) -> Writer:
    def write(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
        shape = lowering.shape_after(layer, inputs)
        return lowering.add(kind, inputs, shape, layer.name, block_size=layer.block_size)

    return write


def _nothing(lowering: Lowering, layer: Any, inputs: list[str]) -> str:
    return inputs[0]


WRITERS: dict[str, Writer] = {
    "Conv2D": _weighted(Convolution),
    "DepthwiseConv2D": _weighted(DepthwiseConvolution),
    "Conv2DTranspose": _weighted(TransposedConvolution),
    "SeparableConv2D": _separable,
    "BatchNormalization": _batch_normalization,
    "InstanceNormalization": _instance_normalization,
    "ContribInstanceNormalization": _instance_normalization,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "Add": _merge(Add),
    "Multiply": _merge(Multiply),
    "Concatenate": _concatenate,
    "ZeroPadding2D": _pad("zero"),
    "ReflectionPadding2D": _pad("reflect"),
    "ReplicationPadding2D": _pad("replicate"),
    "Cropping2D": _crop,
    "UpSampling2D": _up_sampling,
    "GlobalAveragePooling2D": _global_mean,
    "AveragePooling2D": _pool("average"),
    "MaxPooling2D": _pool("max"),
    "SpaceToDepth": _shuffle(SpaceToDepth),
    "DepthToSpace": _shuffle(DepthToSpace),
    "Dropout": _nothing,
    "SpatialDropout2D": _nothing,
    "GaussianNoise": _nothing,
    "Identity": _nothing,
}
"""Writer of each kind of layer."""

_ALTERNATIVES = {
    "LayerNormalization": "BatchNormalization, which folds away",
    "GroupNormalization": "compress.models.layers.InstanceNormalization for groups = -1, or BatchNormalization",
    "Lambda": "a layer with a name, such as compress.models.layers.ReflectionPadding2D",
    "PReLU": "LeakyReLU or ReLU",
    "Dense": "a Conv2D with a 1x1 kernel",
    "Subtract": "Add, with the sign in a convolution's weights",
    "Average": "Add, with the factor in a convolution's weights",
}


def unsupported(layer: Any) -> str:
    """Say that a layer is of a kind that no file can hold, and what to use instead."""
    kind = kind_of(layer)
    instead = _ALTERNATIVES.get(kind, "one of " + ", ".join(sorted(WRITERS)))
    return f"layer {layer.name} ({kind}) cannot be expressed in a phone's file; use {instead}."


def _require(layer: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise UnsupportedLayer(
            f"layer {layer.name} ({kind_of(layer)}) is configured in a way that a phone's file cannot express; "
            f"expected {expected}."
        )
    if getattr(layer, "data_format", "channels_last") not in (None, "channels_last"):
        raise UnsupportedLayer(f"layer {layer.name} puts channels first; build it with channels_last.")


def _margins(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    (top, bottom), (left, right) = padding
    return (int(top), int(bottom)), (int(left), int(right))


def _array(variable: Any) -> np.ndarray:
    return np.asarray(variable, dtype=np.float32)
