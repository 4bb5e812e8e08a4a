"""A deploy graph as a Keras model again: without BatchNorm, which is folded away, and with int8's rounding on demand.

Layers keep the names of the tensors they write, so lowering the model gives the same graph again.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import singledispatch
from typing import Any

import keras
import numpy as np
from keras import layers

from compress.errors import UnsupportedLayer
from compress.models import layers as pocket
from export.graph.operations import (
    AXES,
    Activate,
    Add,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
    Graph,
    Mean,
    Multiply,
    Operation,
    Pad,
    PadMode,
    Pool,
    Resize,
    SpaceToDepth,
    TransposedConvolution,
    Weighted,
)
from export.quantize import fake_quantize
from export.quantize.fake_quantize import FakeQuantizers

_STOCK: Mapping[type[Weighted], type[layers.Layer]] = {
    Convolution: layers.Conv2D,
    DepthwiseConvolution: layers.DepthwiseConv2D,
    TransposedConvolution: layers.Conv2DTranspose,
}
_SUMS = "sums_of_"
"""Prefix of a layer whose activation, fused in the graph, is a layer of its own here and has the tensor's name."""


def as_keras(graph: Graph, quantizers: FakeQuantizers | None = None) -> keras.Model:
    """Build a Keras model that computes the same as a graph.

    Args:
        graph: A graph of operations that have an int8 kernel.
        quantizers: Layers that round weights and tensors as the int8 file does, with gradients that pass through; None
            leaves all of it float.

    Returns:
        A functional model of the graph's image size, its weights set.

    Raises:
        UnsupportedLayer: If an operation has no int8 kernel.
    """
    image = keras.Input(graph.input_shape, name=graph.input)
    tensors: dict[str, Any] = {graph.input: image}
    if quantizers:
        tensors[graph.input] = quantizers.apply(graph.input, image)
    for operation in graph.operations:
        written = _write(operation, [tensors[name] for name in operation.inputs], rounded=quantizers is not None)
        tensors[operation.output] = quantizers.apply(operation.output, written) if quantizers else written
    model = keras.Model(image, tensors[graph.output], name="student")
    for operation in graph.operations:
        if isinstance(operation, Weighted):
            layer = model.get_layer(_layer_name(operation))
            layer.set_weights([operation.kernel, operation.bias])
    return model


def take_weights(graph: Graph, model: keras.Model) -> Graph:
    """Return the graph with the weights of a model that `as_keras` built from it."""

    def updated(operation: Operation) -> Operation:
        if not isinstance(operation, Weighted):
            return operation
        kernel, bias = model.get_layer(_layer_name(operation)).get_weights()
        return replace(operation, kernel=np.asarray(kernel, np.float32), bias=np.asarray(bias, np.float32))

    return replace(graph, operations=tuple(updated(operation) for operation in graph.operations))


def _layer_name(operation: Weighted | Add | Multiply) -> str:
    return operation.output if operation.activation == "none" else _SUMS + operation.output


def _write(operation: Operation, inputs: list[Any], *, rounded: bool) -> Any:
    """Call the operation's layer, and behind it the activation that is fused into it."""
    if isinstance(operation, Weighted):
        make = fake_quantize.LAYERS[type(operation)] if rounded else _STOCK[type(operation)]
        sums = make(name=_layer_name(operation), **_geometry(operation))(inputs[0])
    elif isinstance(operation, Add | Multiply):
        kind = layers.Add if isinstance(operation, Add) else layers.Multiply
        sums = kind(name=_layer_name(operation))(inputs)
    elif isinstance(operation, Resize):
        return _up_sampling(operation, inputs[0].shape)(inputs[0])
    else:
        return _layer(operation)(inputs if len(inputs) > 1 else inputs[0])
    return sums if operation.activation == "none" else _relu(operation.activation, operation.output)(sums)


def _geometry(operation: Weighted) -> dict[str, Any]:
    height, width = operation.kernel.shape[:2]
    shared = {
        "kernel_size": (height, width),
        "strides": operation.strides,
        "padding": operation.padding,
        "dilation_rate": operation.dilation,
    }
    if isinstance(operation, DepthwiseConvolution):
        return shared | {"depth_multiplier": operation.kernel.shape[3]}
    return shared | {"filters": operation.bias.size}


def _relu(function: str, name: str) -> Any:
    return layers.ReLU(6.0 if function == "relu6" else None, name=name)


def _up_sampling(operation: Resize, shape: Any) -> Any:
    factors = operation.shape[0] // shape[1], operation.shape[1] // shape[2]
    return layers.UpSampling2D(factors, interpolation=operation.method, name=operation.output)


@singledispatch
def _layer(operation: Operation) -> Any:
    """Return the stock layer of an operation that has neither weights nor a fused activation."""
    raise UnsupportedLayer(
        f"layer {operation.output} ({type(operation).__name__}) has no int8 kernel on phones; quantize a student, "
        "which uses BatchNormalization."
    )


@_layer.register
def _(operation: Activate) -> Any:
    if operation.function in ("relu", "relu6"):
        return _relu(operation.function, operation.output)
    if operation.function == "leaky_relu":
        return layers.LeakyReLU(operation.slope, name=operation.output)
    return layers.Activation(operation.function, name=operation.output)


@_layer.register
def _(operation: Mean) -> Any:
    return layers.GlobalAveragePooling2D(keepdims=True, name=operation.output)


@_layer.register
def _(operation: Pool) -> Any:
    kind = layers.AveragePooling2D if operation.kind == "average" else layers.MaxPooling2D
    return kind(operation.size, strides=operation.strides, padding=operation.padding, name=operation.output)


@_layer.register
def _(operation: SpaceToDepth) -> Any:
    return pocket.SpaceToDepth(operation.block_size, name=operation.output)


@_layer.register
def _(operation: DepthToSpace) -> Any:
    return pocket.DepthToSpace(operation.block_size, name=operation.output)


_PADS: Mapping[PadMode, Any] = {
    "zero": layers.ZeroPadding2D,
    "reflect": pocket.ReflectionPadding2D,
    "replicate": pocket.ReplicationPadding2D,
}


@_layer.register
def _(operation: Pad) -> Any:
    return _PADS[operation.mode](operation.margins, name=operation.output)


@_layer.register
def _(operation: Crop) -> Any:
    return layers.Cropping2D(operation.margins, name=operation.output)


@_layer.register
def _(operation: Concatenate) -> Any:
    return layers.Concatenate(axis=AXES[operation.axis], name=operation.output)
