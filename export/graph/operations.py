"""The deploy graph: the few operations that a generator needs on a phone, weights folded in.

Every target emits this graph and the NumPy references run it, so all files ship the same weights. Tensors are NHWC with
a batch of 1, named by strings; shapes are `(height, width, channels)`. Kernels keep Keras's layout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

INPUT, OUTPUT = "image", "generated"
"""Names of a lowered graph's input and output, and of the files' after it."""
Shape = tuple[int, int, int]
Margins = tuple[tuple[int, int], tuple[int, int]]
"""`((top, bottom), (left, right))`, pixels."""
Padding = Literal["same", "valid"]
"""TensorFlow's rule: `same` pads with zeros, the odd pixel at the bottom and the right."""
FusedActivation = Literal["none", "relu", "relu6"]
PadMode = Literal["zero", "reflect", "replicate"]
Axis = Literal["height", "width", "channels"]
AXES: Mapping[Axis, int] = {"height": 1, "width": 2, "channels": 3}
"""Position of each axis in NHWC."""
Function = Literal["relu", "relu6", "leaky_relu", "tanh", "sigmoid", "exp"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One operation: reads the tensors `inputs`, writes the tensor `output` of shape `shape`."""

    inputs: tuple[str, ...]
    output: str
    shape: Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighted(Operation):
    """An operation with a kernel and a bias."""

    kernel: np.ndarray
    """Weights, float32, in the layout its subclass names."""
    bias: np.ndarray
    """`(out_channels,)` float32."""
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "valid"
    dilation: tuple[int, int] = (1, 1)
    activation: FusedActivation = "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Weighted):
    """Kernel `(height, width, in_channels, out_channels)`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthwiseConvolution(Weighted):
    """Kernel `(height, width, in_channels, multiplier)`; output channel `in * multiplier + m`.

    With a 1x1 kernel it is a gain and an offset per channel: a BatchNormalization that no convolution could take in.
    """


@dataclass(frozen=True, kw_only=True, eq=False)
class TransposedConvolution(Weighted):
    """Kernel `(height, width, out_channels, in_channels)`; the gradient of a convolution, as TensorFlow defines it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Operation):
    """Sum of two tensors; one of them may be `(1, 1, channels)`."""

    activation: FusedActivation = "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class Multiply(Operation):
    """Product of two tensors; one of them may be `(1, 1, channels)`."""

    activation: FusedActivation = "none"


@dataclass(frozen=True, kw_only=True, eq=False)
class Subtract(Operation):
    """The first tensor less the second, of one shape. It and the next three are those of no generator's layers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Divide(Operation):
    """The first tensor by the second, of one shape."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(Operation):
    """Every value times a gain, and an offset."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip(Operation):
    """Every value, or the nearer of two bounds beyond them."""

    least: float
    greatest: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Mean(Operation):
    """Mean over height and width, `(1, 1, channels)`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Operation):
    """Average (of the pixels inside the image) or maximum over windows."""

    kind: Literal["average", "max"]
    size: tuple[int, int]
    strides: tuple[int, int]
    padding: Padding


@dataclass(frozen=True, kw_only=True, eq=False)
class Resize(Operation):
    """The image resized to `shape`, pixel centres at half coordinates."""

    method: Literal["bilinear", "nearest"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SpaceToDepth(Operation):
    """Blocks of pixels into channels: row within the block, column, channel."""

    block_size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthToSpace(Operation):
    """The inverse of SpaceToDepth."""

    block_size: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Pad(Operation):
    """Zeros, the image mirrored without its border pixel, or its border pixel repeated, around the image."""

    margins: Margins
    mode: PadMode


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop(Operation):
    """The image without its margins."""

    margins: Margins


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Operation):
    """Tensors joined along one axis of the image."""

    axis: Axis = "channels"


@dataclass(frozen=True, kw_only=True, eq=False)
class InstanceNorm(Operation):
    """Each channel normalised by its mean and variance over height and width, then gain and offset."""

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float
    epsilon_on: Literal["variance", "deviation"] = "variance"
    """Statistic that epsilon is added to; keras_contrib adds it to the standard deviation."""
    channels_together: bool = False
    """True where all channels share one mean and one variance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Activate(Operation):
    """A function of each value by itself, where it could not be fused."""

    function: Function
    slope: float = 0.0
    """Slope of leaky_relu below zero."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantize(Operation):
    """Float values to int8, where an operation that computes in int8 reads what one in float writes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dequantize(Operation):
    """int8 values to float, where an operation that computes in float reads what one in int8 writes."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """A generator: one image in, one out, operations in an order in which they can run."""

    input: str
    output: str
    input_shape: Shape
    operations: tuple[Operation, ...]
    other_inputs: Mapping[str, Shape] = field(default_factory=dict)
    """What else it takes, and of which shape; nothing where it is a generator."""

    @property
    def inputs(self) -> Mapping[str, Shape]:
        """The shape of every tensor that it takes, in the files' order."""
        return {self.input: self.input_shape, **self.other_inputs}

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of every tensor."""
        return {**self.inputs, **{operation.output: operation.shape for operation in self.operations}}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Operation, ...]]:
        """The operations that read each tensor."""
        found: dict[str, list[Operation]] = {name: [] for name in self.shapes}
        for operation in self.operations:
            for name in operation.inputs:
                found[name].append(operation)
        return {name: tuple(readers) for name, readers in found.items()}

    @property
    def params(self) -> int:
        """Number of weights that the file carries."""
        arrays = [value for operation in self.operations for value in vars(operation).values()]
        return sum(value.size for value in arrays if isinstance(value, np.ndarray))


def same_margins(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Return the zeros that TensorFlow's `same` puts before and after a side of `size` pixels."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def margins_of(operation: Weighted | Pool, size: tuple[int, int], kernel: tuple[int, int]) -> Margins:
    """Return the zeros around the input `size` (height, width) of an operation with that kernel."""
    if operation.padding == "valid":
        return (0, 0), (0, 0)
    dilation = operation.dilation if isinstance(operation, Weighted) else (1, 1)
    vertical, horizontal = (
        same_margins(*sides) for sides in zip(size, kernel, operation.strides, dilation, strict=True)
    )
    return vertical, horizontal
