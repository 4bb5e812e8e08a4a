"""A Keras generator becomes a deploy graph, one layer at a time; the passes of every target then fold and fuse."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models import layers as pocket
from export.graph.operations import INPUT, Graph, Shape
from export.graph.passes import GENERAL, apply_passes
from export.graph.writers import WRITERS, Lowering, unsupported


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
    walk = _KerasWalk(input_shape)
    last = walk.add_model(model, [INPUT])[0]
    graph = Graph(input=INPUT, output=last, input_shape=input_shape, operations=tuple(walk.lowering.operations))
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


_KINDS: dict[type, str] = {
    layers.Conv2D: "Conv2D",
    layers.DepthwiseConv2D: "DepthwiseConv2D",
    layers.Conv2DTranspose: "Conv2DTranspose",
    layers.SeparableConv2D: "SeparableConv2D",
    layers.BatchNormalization: "BatchNormalization",
    pocket.InstanceNormalization: "InstanceNormalization",
    pocket.ContribInstanceNormalization: "ContribInstanceNormalization",
    layers.Activation: "Activation",
    layers.ReLU: "ReLU",
    layers.LeakyReLU: "LeakyReLU",
    layers.Add: "Add",
    layers.Multiply: "Multiply",
    layers.Concatenate: "Concatenate",
    layers.ZeroPadding2D: "ZeroPadding2D",
    pocket.ReflectionPadding2D: "ReflectionPadding2D",
    pocket.ReplicationPadding2D: "ReplicationPadding2D",
    layers.Cropping2D: "Cropping2D",
    layers.UpSampling2D: "UpSampling2D",
    layers.GlobalAveragePooling2D: "GlobalAveragePooling2D",
    layers.AveragePooling2D: "AveragePooling2D",
    layers.MaxPooling2D: "MaxPooling2D",
    pocket.SpaceToDepth: "SpaceToDepth",
    pocket.DepthToSpace: "DepthToSpace",
    layers.Dropout: "Dropout",
    layers.SpatialDropout2D: "SpatialDropout2D",
    layers.GaussianNoise: "GaussianNoise",
    layers.Identity: "Identity",
}
"""Layers that can be expressed, each by its own class: one that extends another may compute something else."""


class _KerasWalk:
    """Lowering of a Keras model, layer by layer in Keras's order."""

    def __init__(self, input_shape: Shape) -> None:
        self.lowering = Lowering(input_shape)

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
        kind = _KINDS.get(type(layer))
        if kind is None:
            raise UnsupportedLayer(unsupported(layer))
        return [WRITERS[kind](self.lowering, layer, inputs)]
