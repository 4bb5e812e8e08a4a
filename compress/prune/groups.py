"""Groups of channels of a generator that can only be removed together, found from its graph alone.

Every channel that a convolution makes is followed through the layers that pass it on. Layers that combine tensors
channel by channel (Add, Multiply) tie two channels into one, and so does a pixel shuffle, which builds one channel from
`block * block`. What is tied in the end is one unit: it is removed whole, from every weight that makes, carries or
reads it. The channels of the image and of the generated image belong to no unit.

Source: the dependency graph of Fang et al. 2023, DepGraph, arXiv:2301.12900, kept per channel instead of per layer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel
from compress.models import layers as pocket

Role = Literal["makes", "carries", "reads"]
Channels = np.ndarray
"""`(channels,)` int64: for each channel of a tensor, its node of the union-find."""

_CHANNEL_AXES = (-1, 3)
_ELEMENTWISE = frozenset(
    {"linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "hard_sigmoid"}
)


@dataclass(frozen=True, order=True)
class Slice:
    """One index along one axis of one weight."""

    layer: str
    variable: str
    axis: int
    index: int
    role: Role


Unit = tuple[Slice, ...]
"""Slices that are removed together as one channel."""


@dataclass(frozen=True)
class Group:
    """The units that the same weights make, carry and read: alike in cost, and ranked against each other."""

    units: tuple[Unit, ...]

    @cached_property
    def makers(self) -> tuple[str, ...]:
        """Names of the convolutions that make these channels."""
        return tuple(dict.fromkeys(piece.layer for piece in self.units[0] if piece.role == "makes"))

    @cached_property
    def slices_per_unit(self) -> Counter[tuple[str, str, int]]:
        """Number of slices of a (layer, variable, axis) in each unit."""
        return _signature(self.units[0])


def kernel_axes(layer: Any) -> tuple[int, int]:
    """Return the axes of a convolution's kernel: of the channels that it reads, and of those that it makes."""
    return (3, 2) if isinstance(layer, layers.Conv2DTranspose) else (2, 3)


def find_groups(model: keras.Model) -> list[Group]:
    """Find the channels of a generator that can be pruned.

    Args:
        model: Functional, one image in, one out, channels last.

    Returns:
        The groups in the order of the graph; empty where nothing can be removed.

    Raises:
        UnsupportedLayer: If a layer's effect on channels is not known; the message names it.
        UnusableModel: If the model has no graph of layers, or several inputs or outputs.
    """
    if not hasattr(model, "_nodes_by_depth") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnusableModel(f"{model.name} is no functional model with one image in and one out; pass a student.")
    tracer = _Tracer()
    image = tracer.new(model.inputs[0].shape[-1])
    tensors = {id(model.inputs[0]): image}
    # Keras has no public way to walk the graph of layers.
    nodes_by_depth: Any = model._nodes_by_depth  # pyright: ignore[reportAttributeAccessIssue]
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            if not isinstance(node.operation, layers.InputLayer):
                read = [tensors[id(tensor)] for tensor in node.input_tensors]
                tensors[id(node.outputs[0])] = tracer.follow(node.operation, read)
    return tracer.groups(fixed=np.concatenate([image, tensors[id(model.outputs[0])]]))


class _Tracer:
    """A union-find over channels, and the weights' slices that belong to each."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._owners: dict[Slice, int] = {}

    def new(self, count: int) -> Channels:
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def tie(self, one: Channels, other: Channels) -> Channels:
        for left, right in zip(one, other, strict=True):
            roots = sorted((self._root(left), self._root(right)))
            self._parents[roots[1]] = roots[0]
        return one

    def own(self, layer: Any, variable: str, axis: int, channels: Channels, role: Role) -> None:
        """Note the owner of each index's slice; where a layer is used twice, its channels are tied."""
        if getattr(layer, variable, None) is None:
            return
        for index, channel in enumerate(channels):
            piece = Slice(layer.name, variable, axis, index, role)
            first = self._owners.setdefault(piece, channel)
            self.tie(np.array([first]), np.array([channel]))

    def follow(self, layer: Any, inputs: Sequence[Channels]) -> Channels:
        follow = _RULES.get(type(layer))
        if follow is None:
            raise UnsupportedLayer(
                f"layer {layer.name} ({type(layer).__name__}) cannot be pruned around: what it does to channels is not "
                f"known. Expected one of {', '.join(sorted(kind.__name__ for kind in _RULES))}, as students have."
            )
        return follow(self, layer, inputs)

    def groups(self, fixed: Channels) -> list[Group]:
        fixed_roots = {self._root(channel) for channel in fixed}
        units: dict[int, list[Slice]] = defaultdict(list)
        for piece, channel in self._owners.items():
            root = self._root(channel)
            if root not in fixed_roots:
                units[root].append(piece)
        alike: dict[frozenset[Any], list[Unit]] = defaultdict(list)
        for pieces in units.values():
            alike[frozenset(_signature(pieces).items())].append(tuple(pieces))
        return [Group(tuple(members)) for members in alike.values()]

    def _root(self, channel: int) -> int:
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return int(channel)


def _signature(unit: Sequence[Slice]) -> Counter[tuple[str, str, int]]:
    return Counter((piece.layer, piece.variable, piece.axis) for piece in unit)


TracingRule = Callable[[_Tracer, Any, Sequence[Channels]], Channels]


def _convolution(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _require(layer, getattr(layer, "groups", 1) == 1, "groups = 1")
    _elementwise(layer)
    outputs = tracer.new(layer.filters)
    reading, making = kernel_axes(layer)
    tracer.own(layer, "kernel", reading, inputs[0], "reads")
    tracer.own(layer, "kernel", making, outputs, "makes")
    tracer.own(layer, "bias", 0, outputs, "makes")
    return outputs


def _depthwise(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _require(layer, layer.depth_multiplier == 1, "depth_multiplier = 1")
    _elementwise(layer)
    tracer.own(layer, "kernel", 2, inputs[0], "carries")
    tracer.own(layer, "bias", 0, inputs[0], "carries")
    return inputs[0]


def _batch_normalization(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _require(layer, layer.axis in _CHANNEL_AXES, "axis = -1")
    for variable in ("gamma", "beta", "moving_mean", "moving_variance"):
        tracer.own(layer, variable, 0, inputs[0], "carries")
    return inputs[0]


def _unchanged(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    return inputs[0]


def _activation(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _elementwise(layer)
    return inputs[0]


def _merge(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _require(layer, len({len(channels) for channels in inputs}) == 1, "inputs of as many channels each")
    for other in inputs[1:]:
        tracer.tie(inputs[0], other)
    return inputs[0]


def _concatenate(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    _require(layer, layer.axis in _CHANNEL_AXES, "axis = -1")
    return np.concatenate(inputs)


def _depth_to_space(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    """Tie the channels that become pixels of one: by TFLite's order `(row * block + column) * depth + d` of `d`."""
    blocks = inputs[0].reshape(layer.block_size**2, -1)
    for block in blocks[1:]:
        tracer.tie(blocks[0], block)
    return blocks[0]


def _space_to_depth(tracer: _Tracer, layer: Any, inputs: Sequence[Channels]) -> Channels:
    return np.tile(inputs[0], layer.block_size**2)


def _elementwise(layer: Any) -> None:
    name = getattr(layer.activation, "__name__", str(layer.activation))
    _require(layer, name in _ELEMENTWISE, f"an activation that keeps channels apart, not {name}")


def _require(layer: Any, fulfilled: bool, expected: str) -> None:
    if not fulfilled:
        raise UnsupportedLayer(f"layer {layer.name} ({type(layer).__name__}) cannot be pruned: expected {expected}.")


_RULES: dict[type, TracingRule] = {
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _convolution,
    layers.DepthwiseConv2D: _depthwise,
    layers.BatchNormalization: _batch_normalization,
    layers.Add: _merge,
    layers.Multiply: _merge,
    layers.Concatenate: _concatenate,
    layers.Activation: _activation,
    layers.ReLU: _unchanged,
    layers.LeakyReLU: _unchanged,
    layers.UpSampling2D: _unchanged,
    layers.AveragePooling2D: _unchanged,
    layers.MaxPooling2D: _unchanged,
    layers.GlobalAveragePooling2D: _unchanged,
    layers.ZeroPadding2D: _unchanged,
    layers.Cropping2D: _unchanged,
    pocket.ReflectionPadding2D: _unchanged,
    pocket.ReplicationPadding2D: _unchanged,
    pocket.DepthToSpace: _depth_to_space,
    pocket.SpaceToDepth: _space_to_depth,
}
