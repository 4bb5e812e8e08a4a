"""A Keras generator becomes a deploy graph, one layer at a time; the passes of every target then fold and fuse."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models import layers as pocket
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
    Graph,
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
from export.graph.passes import GENERAL, apply_passes


def lower(model: keras.Model, *, input_shape: Shape) -> Graph:
    """Turn a generator into a deploy graph for one image size.

    Args:
        model: Functional or Sequential, one image in, one out; models nested in it are unfolded.
        input_shape: `(height, width, channels)`, which a model of fixed size must share.

    Raises:
        UnsupportedLayer: If a layer cannot be expressed; the message names it and what to use instead.
        UnusableModel: If the model takes another image size or has several inputs or outputs.
    """
    _check_input_and_output(model, input_shape)
    lowering = _Lowering(input_shape)
    last = lowering.add_model(model, [INPUT])[0]
    graph = Graph(input=INPUT, output=last, input_shape=input_shape, operations=tuple(lowering.operations))
    return apply_passes(graph, GENERAL)


def _check_input_and_output(model: keras.Model, input_shape: Shape) -> None:
    if not hasattr(_functional(model), "_nodes_by_depth"):
        raise UnusableModel(f"model {model.name} is subclassed; build it with the functional API, whose layers show.")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnusableModel(
            f"model {model.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "a generator takes one image and returns one."
        )
    expected = tuple(model.inputs[0].shape[1:])
    if any(side is not None and side != asked for side, asked in zip(expected, input_shape, strict=True)):
        raise UnusableModel(
            f"model {model.name} takes images of shape {expected}, but {input_shape} was asked for. "
            "Leave --image-size-px out, or pass the model's own size."
        )


def _functional(model: Any) -> Any:
    """Return the graph of layers behind a model; Keras has no public way to walk it."""
    return model._functional if isinstance(model, keras.Sequential) else model


class _Lowering:
    """The operations that are written so far, and their shapes."""

    def __init__(self, input_shape: Shape) -> None:
        self.operations: list[Operation] = []
        self.shapes: dict[str, Shape] = {INPUT: input_shape}

    def add_model(self, model: Any, inputs: Sequence[str]) -> list[str]:
        """Lower a model's layers, once for every place where they are used."""
        functional = _functional(model)
        names = {id(tensor): name for tensor, name in zip(functional.inputs, inputs, strict=True)}
        for depth in sorted(functional._nodes_by_depth, reverse=True):
            for node in functional._nodes_by_depth[depth]:
                if isinstance(node.operation, layers.InputLayer):
                    continue
                read = [names[id(tensor)] for tensor in node.input_tensors]
                written = self.add_layer(node.operation, read)
                names |= {id(tensor): name for tensor, name in zip(node.outputs, written, strict=True)}
        return [names[id(tensor)] for tensor in functional.outputs]

    def add_layer(self, layer: Any, inputs: list[str]) -> list[str]:
        if isinstance(layer, keras.Model):
            return self.add_model(layer, inputs)
        write = _WRITERS.get(type(layer))
        if write is None:
            raise UnsupportedLayer(_unsupported(layer))
        return [write(self, layer, inputs)]

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


Writer = Callable[[_Lowering, Any, list[str]], str]


def _weighted(kind: type[Weighted]) -> Writer:
    def write(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
        _require(layer, getattr(layer, "groups", 1) == 1, "groups = 1")
        kernel = _array(layer.kernel)
        return _add_weighted(lowering, kind, layer, inputs, kernel, layer.strides, layer.dilation_rate)

    return write


def _add_weighted(
    lowering: _Lowering, kind: type[Weighted], layer: Any, inputs: list[str], kernel: Any, strides: Any, dilation: Any
) -> str:
    shape = lowering.shape_after(layer, inputs)
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(shape[2], np.float32)
    _require(layer, layer.padding in ("same", "valid"), 'padding "same" or "valid"')
    geometry = {"strides": tuple(strides), "padding": layer.padding, "dilation": tuple(dilation)}
    output = lowering.add(kind, inputs, shape, layer.name, kernel=kernel, bias=bias, **geometry)
    return _add_function(lowering, layer, layer.activation, output)


def _separable(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
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


def _batch_normalization(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
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


def _instance_normalization(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    shape = lowering.shapes[inputs[0]]
    ones = np.ones(shape[2], np.float32)
    gamma = ones * _array(layer.gamma) if layer.gamma is not None else ones
    beta = ones * _array(layer.beta) if layer.beta is not None else np.zeros(shape[2], np.float32)
    variant: dict[str, Any] = {}
    if isinstance(layer, pocket.ContribInstanceNormalization):
        variant = {"epsilon_on": "deviation", "channels_together": not layer.per_channel}
    arguments = {"gamma": gamma, "beta": beta, "epsilon": layer.epsilon, **variant}
    return lowering.add(InstanceNorm, inputs, shape, layer.name, **arguments)


def _activation(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    return _add_function(lowering, layer, layer.activation, inputs[0], own_name=True)


def _add_function(lowering: _Lowering, layer: Any, activation: Any, tensor: str, *, own_name: bool = False) -> str:
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


def _relu(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.threshold == 0 and layer.max_value in (None, 6), "threshold = 0 and max_value = None or 6")
    slope = float(layer.negative_slope)
    _require(layer, slope == 0 or layer.max_value is None, "a negative slope or a maximum, not both")
    function: Function = "leaky_relu" if slope else "relu6" if layer.max_value else "relu"
    shape = lowering.shapes[inputs[0]]
    return lowering.add(Activate, inputs, shape, layer.name, function=function, slope=slope)


def _leaky_relu(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    slope = float(layer.negative_slope)
    return lowering.add(Activate, inputs, lowering.shapes[inputs[0]], layer.name, function="leaky_relu", slope=slope)


def _merge(kind: type[Operation]) -> Writer:
    def write(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
        _require(layer, len(inputs) >= 2, "at least two inputs")
        total = inputs[0]
        for index, name in enumerate(inputs[1:], start=2):
            sides = zip(lowering.shapes[total], lowering.shapes[name], strict=True)
            height, width, channels = (max(pair) for pair in sides)
            own = layer.name if index == len(inputs) else f"{layer.name}_{index}"
            total = lowering.add(kind, [total, name], (height, width, channels), own)
        return total

    return write


def _concatenate(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.axis in (-1, 3), "axis = -1")
    return lowering.add(Concatenate, inputs, lowering.shape_after(layer, inputs), layer.name)


def _pad(mode: str) -> Writer:
    def write(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
        shape = lowering.shape_after(layer, inputs)
        return lowering.add(Pad, inputs, shape, layer.name, margins=_margins(layer.padding), mode=mode)

    return write


def _crop(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    margins = _margins(layer.cropping)
    return lowering.add(Crop, inputs, lowering.shape_after(layer, inputs), layer.name, margins=margins)


def _up_sampling(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    method = layer.interpolation
    _require(layer, method in ("nearest", "bilinear"), 'interpolation "nearest" or "bilinear"')
    return lowering.add(Resize, inputs, lowering.shape_after(layer, inputs), layer.name, method=method)


def _global_mean(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    _require(layer, layer.keepdims, "keepdims = True")
    return lowering.add(Mean, inputs, (1, 1, lowering.shapes[inputs[0]][2]), layer.name)


def _pool(kind: str) -> Writer:
    def write(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
        fields = {"size": tuple(layer.pool_size), "strides": tuple(layer.strides), "padding": layer.padding}
        return lowering.add(Pool, inputs, lowering.shape_after(layer, inputs), layer.name, kind=kind, **fields)

    return write


def _shuffle(kind: type[Operation]) -> Writer:
    def write(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
        shape = lowering.shape_after(layer, inputs)
        return lowering.add(kind, inputs, shape, layer.name, block_size=layer.block_size)

    return write


def _nothing(lowering: _Lowering, layer: Any, inputs: list[str]) -> str:
    return inputs[0]


_WRITERS: dict[type, Writer] = {
    layers.Conv2D: _weighted(Convolution),
    layers.DepthwiseConv2D: _weighted(DepthwiseConvolution),
    layers.Conv2DTranspose: _weighted(TransposedConvolution),
    layers.SeparableConv2D: _separable,
    layers.BatchNormalization: _batch_normalization,
    pocket.InstanceNormalization: _instance_normalization,
    pocket.ContribInstanceNormalization: _instance_normalization,
    layers.Activation: _activation,
    layers.ReLU: _relu,
    layers.LeakyReLU: _leaky_relu,
    layers.Add: _merge(Add),
    layers.Multiply: _merge(Multiply),
    layers.Concatenate: _concatenate,
    layers.ZeroPadding2D: _pad("zero"),
    pocket.ReflectionPadding2D: _pad("reflect"),
    pocket.ReplicationPadding2D: _pad("replicate"),
    layers.Cropping2D: _crop,
    layers.UpSampling2D: _up_sampling,
    layers.GlobalAveragePooling2D: _global_mean,
    layers.AveragePooling2D: _pool("average"),
    layers.MaxPooling2D: _pool("max"),
    pocket.SpaceToDepth: _shuffle(SpaceToDepth),
    pocket.DepthToSpace: _shuffle(DepthToSpace),
    layers.Dropout: _nothing,
    layers.SpatialDropout2D: _nothing,
    layers.GaussianNoise: _nothing,
    layers.Identity: _nothing,
}

_ALTERNATIVES = {
    "LayerNormalization": "BatchNormalization, which folds away",
    "GroupNormalization": "compress.models.layers.InstanceNormalization for groups = -1, or BatchNormalization",
    "Lambda": "a layer with a name, such as compress.models.layers.ReflectionPadding2D",
    "PReLU": "LeakyReLU or ReLU",
    "Dense": "a Conv2D with a 1x1 kernel",
    "Subtract": "Add, with the sign in a convolution's weights",
    "Average": "Add, with the factor in a convolution's weights",
}


def _unsupported(layer: Any) -> str:
    kind = type(layer).__name__
    instead = _ALTERNATIVES.get(kind, "one of " + ", ".join(sorted(known.__name__ for known in _WRITERS)))
    return f"layer {layer.name} ({kind}) cannot be expressed in a phone's file; use {instead}."


def _require(layer: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise UnsupportedLayer(
            f"layer {layer.name} ({type(layer).__name__}) is configured in a way that a phone's file cannot express; "
            f"expected {expected}."
        )
    if getattr(layer, "data_format", "channels_last") not in (None, "channels_last"):
        raise UnsupportedLayer(f"layer {layer.name} puts channels first; build it with channels_last.")


def _margins(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    (top, bottom), (left, right) = padding
    return (int(top), int(bottom)), (int(left), int(right))


def _array(variable: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype=np.float32)
