"""Assembly of a classifier's deploy graph from the arrays of a PyTorch state dict; BatchNorm is folded on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from compress.errors import UnusableModel
from export.graph.operations import (
    INPUT,
    Add,
    Concatenate,
    Convolution,
    DepthwiseConvolution,
    FusedActivation,
    Graph,
    Mean,
    Padding,
    Pool,
    Shape,
    Weighted,
)
from export.graph.writers import Lowering

NORM_EPSILON = 1e-3
"""TensorFlow's epsilon of BatchNorm, with which the weights were trained; PyTorch's own default is 1e-5."""

State = Mapping[str, np.ndarray]
"""Arrays by their names in PyTorch, in its layouts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureGraph:
    """A deploy graph from a prepared image to its features, and the tensors that are compared on the way."""

    graph: Graph
    """Its output is `(1, 1, features)`."""
    stages: tuple[str, ...]
    """Tensors whose activations perceptual distances compare, from edges to objects."""


class Assembly:
    """Appends layers to a deploy graph. A tensor has the name of the layer that writes it.

    Args:
        network: What errors call the network.
        state: Its weights; names that nothing asks for are refused by `finish`.
        side_px: Height and width of the image.
        ignored: Beginnings of names of weights behind the features.
    """

    def __init__(self, network: str, state: State, side_px: int, *, ignored: tuple[str, ...]) -> None:
        self._network, self._state = network, state
        self._unread = {name for name in state if not name.startswith(ignored)}
        self._lowering = Lowering((side_px, side_px, 3))

    def shape(self, tensor: str) -> Shape:
        """Return `(height, width, channels)` of a tensor."""
        return self._lowering.shapes[tensor]

    def convolve(
        self,
        source: str,
        layer: str,
        filters: int,
        size: tuple[int, int] = (1, 1),
        *,
        norm: str | None,
        stride: int = 1,
        padding: Padding = "same",
        activation: FusedActivation = "relu",
    ) -> str:
        """Append a convolution with the BatchNorm `norm` behind it, or with a bias of its own where that is None."""
        kernel, bias = self._read_weights(layer, norm, (filters, self.shape(source)[2], *size))
        weights = {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
        return self._add_weighted(Convolution, source, layer, weights, stride, padding, activation)

    def filter_channels(self, source: str, layer: str, size: int, *, norm: str, stride: int) -> str:
        """Append a depthwise convolution with its BatchNorm and ReLU6."""
        kernel, bias = self._read_weights(layer, norm, (self.shape(source)[2], 1, size, size))
        weights = {"kernel": kernel.transpose(2, 3, 0, 1), "bias": bias}
        return self._add_weighted(DepthwiseConvolution, source, layer, weights, stride, "same", "relu6")

    def pool(
        self, source: str, name: str, kind: Literal["average", "max"], *, stride: int, padding: Padding = "valid"
    ) -> str:
        """Append a pooling of 3x3 windows."""
        shape = self._shape_behind(source, (3, 3), stride, padding, self.shape(source)[2])
        fields = {"kind": kind, "size": (3, 3), "strides": (stride, stride), "padding": padding}
        return self._lowering.add(Pool, [source], shape, name, **fields)

    def concatenate(self, sources: Sequence[str], name: str) -> str:
        """Append the channels of several tensors, one after the other."""
        height, width, _ = self.shape(sources[0])
        channels = sum(self.shape(source)[2] for source in sources)
        return self._lowering.add(Concatenate, sources, (height, width, channels), name)

    def add(self, first: str, second: str, name: str) -> str:
        """Append a sum."""
        return self._lowering.add(Add, [first, second], self.shape(first), name)

    def finish(self, source: str, stages: Sequence[str], *, name: str = "features") -> FeatureGraph:
        """Append the mean over height and width, which is the features, and return the graph.

        Raises:
            UnusableModel: If the state dict holds weights that no layer asked for.
        """
        if self._unread:
            first = sorted(self._unread)[0]
            raise UnusableModel(f"the weights of {self._network} hold {first!r}, which it does not have.")
        features = self._lowering.add(Mean, [source], (1, 1, self.shape(source)[2]), name)
        operations = tuple(self._lowering.operations)
        graph = Graph(input=INPUT, output=features, input_shape=self.shape(INPUT), operations=operations)
        return FeatureGraph(graph=graph, stages=tuple(stages))

    def _add_weighted(
        self,
        kind: type[Weighted],
        source: str,
        layer: str,
        weights: Mapping[str, np.ndarray],
        stride: int,
        padding: Padding,
        activation: FusedActivation,
    ) -> str:
        height, width = weights["kernel"].shape[:2]
        shape = self._shape_behind(source, (height, width), stride, padding, weights["bias"].size)
        single = {name: values.astype(np.float32) for name, values in weights.items()}
        geometry = {"strides": (stride, stride), "padding": padding, "activation": activation}
        return self._lowering.add(kind, [source], shape, layer, **single, **geometry)

    def _shape_behind(self, source: str, size: tuple[int, int], stride: int, padding: Padding, channels: int) -> Shape:
        sides = self.shape(source)[:2]
        if padding == "same":
            height, width = (-(-side // stride) for side in sides)
        else:
            height, width = ((side - reach) // stride + 1 for side, reach in zip(sides, size, strict=True))
        return height, width, channels

    def _read_weights(self, layer: str, norm: str | None, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return a kernel, in PyTorch's layout, and the bias that do what it and the BatchNorm behind it do."""
        kernel = self._read(f"{layer}.weight", shape)
        if norm is None:
            return kernel, self._read(f"{layer}.bias", shape[:1])
        gamma, beta, mean, variance = (
            self._read(f"{norm}.{role}", shape[:1]) for role in ("weight", "bias", "running_mean", "running_var")
        )
        self._unread.discard(f"{norm}.num_batches_tracked")
        gain = gamma / np.sqrt(variance + NORM_EPSILON)
        return kernel * gain[:, None, None, None], beta - mean * gain

    def _read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        array = self._state.get(name)
        if array is None or array.shape != shape:
            came = "no array" if array is None else f"an array of shape {array.shape}"
            raise UnusableModel(f"the weights of {self._network} hold {came} named {name!r}; expected {shape}.")
        self._unread.discard(name)
        # In double precision: a small variance makes a large gain, and its error would be multiplied into every weight.
        return array.astype(np.float64)
