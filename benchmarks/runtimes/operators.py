"""A graph for each operator of the deploy graph, with random weights: what a runtime computes of it, by itself.

An operator that reads two tensors gets the image, and the image with its halves exchanged at a scale of its own: a
depthwise convolution by one factor hands integers on as they are, whatever rounds them.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from export.graph.operations import (
    Activate,
    Add,
    Concatenate,
    Convolution,
    Crop,
    DepthToSpace,
    DepthwiseConvolution,
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

HEIGHT, WIDTH, CHANNELS = 24, 20, 16
SHAPE: Shape = (HEIGHT, WIDTH, CHANNELS)
IN_FLOAT_ALONE = frozenset({"instance norm"})
"""Operators that no int8 file holds."""
_IMAGE, _MADE = "image", "made"
_Reads = tuple[str, ...]


def operator_graphs(seed: int = 0) -> Iterator[tuple[str, Graph]]:
    """Yield each operator's name and its graph, whose image is `SHAPE`."""
    for name, build in _BUILDERS.items():
        operations = build(np.random.default_rng(seed))
        yield name, Graph(input=_IMAGE, output=operations[-1].output, input_shape=SHAPE, operations=operations)


def _weights(random: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    return (random.normal(0, 1, shape) / np.sqrt(fan_in)).astype(np.float32)


def _weighted(
    kind: type[Weighted], kernel: tuple[int, int, int, int], shape: Shape, **settings: Any
) -> Callable[[np.random.Generator], tuple[Operation, ...]]:
    fan_in = kernel[0] * kernel[1] * (1 if kind is DepthwiseConvolution else CHANNELS)

    def build(random: np.random.Generator) -> tuple[Operation, ...]:
        bias = random.normal(0, 0.2, shape[2]).astype(np.float32)
        weights: dict[str, Any] = {"kernel": _weights(random, kernel, fan_in), "bias": bias, "padding": "same"}
        return (kind(inputs=(_IMAGE,), output=_MADE, shape=shape, **weights | settings),)

    return build


def _alone(
    kind: type[Operation], shape: Shape, /, **settings: Any
) -> Callable[[np.random.Generator], tuple[Operation, ...]]:
    return lambda random: (kind(inputs=(_IMAGE,), output=_MADE, shape=shape, **settings),)


def _of_two(kind: type[Operation], gain: float) -> Callable[[np.random.Generator], tuple[Operation, ...]]:
    """Read the image and, at `gain` times its scale, the image with its halves exchanged."""

    def build(random: np.random.Generator) -> tuple[Operation, ...]:
        half = (HEIGHT // 2, WIDTH, CHANNELS)
        upper = Crop(inputs=(_IMAGE,), output="upper", shape=half, margins=((0, HEIGHT // 2), (0, 0)))
        lower = Crop(inputs=(_IMAGE,), output="lower", shape=half, margins=((HEIGHT // 2, 0), (0, 0)))
        exchanged = Concatenate(inputs=("lower", "upper"), output="exchanged", shape=SHAPE, axis="height")
        return upper, lower, exchanged, _scaled("exchanged", SHAPE, gain), _merge(kind, SHAPE)

    return build


def _with_channels(kind: type[Operation]) -> Callable[[np.random.Generator], tuple[Operation, ...]]:
    """Read the image and its own middle pixel, as a context block reads a gain of each channel."""
    margins = ((HEIGHT // 2, HEIGHT // 2 - 1), (WIDTH // 2, WIDTH // 2 - 1))
    middle = Crop(inputs=(_IMAGE,), output="middle", shape=(1, 1, CHANNELS), margins=margins)
    return lambda random: (middle, _scaled("middle", (1, 1, CHANNELS), 0.5), _merge(kind, SHAPE))


def _scaled(source: str, shape: Shape, gain: float) -> Operation:
    kernel, bias = np.full((1, 1, CHANNELS, 1), gain, np.float32), np.zeros(CHANNELS, np.float32)
    return DepthwiseConvolution(inputs=(source,), output="other", shape=shape, kernel=kernel, bias=bias)


def _merge(kind: type[Operation], shape: Shape) -> Operation:
    return kind(inputs=(_IMAGE, "other"), output=_MADE, shape=shape)


def _normalize(random: np.random.Generator) -> tuple[Operation, ...]:
    gamma, beta = (random.normal(middle, 0.3, CHANNELS).astype(np.float32) for middle in (1.0, 0.0))
    return (InstanceNorm(inputs=(_IMAGE,), output=_MADE, shape=SHAPE, gamma=gamma, beta=beta, epsilon=1e-5),)


def _resized(
    height: int, width: int, method: Literal["bilinear", "nearest"] = "bilinear"
) -> Callable[[np.random.Generator], tuple[Operation, ...]]:
    return _alone(Resize, (height, width, CHANNELS), method=method)


_C, _H, _W = CHANNELS, HEIGHT, WIDTH
_BUILDERS: dict[str, Callable[[np.random.Generator], tuple[Operation, ...]]] = {
    "convolution 3x3, relu": _weighted(Convolution, (3, 3, _C, 24), (_H, _W, 24), activation="relu"),
    "convolution 3x3, stride 2": _weighted(Convolution, (3, 3, _C, 24), (_H // 2, _W // 2, 24), strides=(2, 2)),
    "convolution 3x3, dilation 2": _weighted(Convolution, (3, 3, _C, 24), (_H, _W, 24), dilation=(2, 2)),
    "convolution 1x1": _weighted(Convolution, (1, 1, _C, 24), (_H, _W, 24)),
    "depthwise convolution 5x5": _weighted(DepthwiseConvolution, (5, 5, _C, 1), SHAPE),
    "transposed convolution 3x3, stride 2": _weighted(
        TransposedConvolution, (3, 3, 8, _C), (2 * _H, 2 * _W, 8), strides=(2, 2)
    ),
    "transposed convolution 4x4, stride 2": _weighted(
        TransposedConvolution, (4, 4, 8, _C), (2 * _H, 2 * _W, 8), strides=(2, 2)
    ),
    "add": _of_two(Add, 0.7),
    "add, scales 1:200": _of_two(Add, 0.005),
    "add by channel": _with_channels(Add),
    "multiply": _of_two(Multiply, 0.7),
    "multiply by channel": _with_channels(Multiply),
    "mean": _alone(Mean, (1, 1, _C)),
    "average pool 3x3": _alone(Pool, SHAPE, kind="average", size=(3, 3), strides=(1, 1), padding="same"),
    "max pool 2x2": _alone(Pool, (_H // 2, _W // 2, _C), kind="max", size=(2, 2), strides=(2, 2), padding="valid"),
    "resize bilinear x2": _resized(2 * _H, 2 * _W),
    "resize bilinear x3": _resized(3 * _H, 3 * _W),
    "resize bilinear x4": _resized(4 * _H, 4 * _W),
    "resize bilinear x1.5": _resized(_H * 3 // 2, _W * 3 // 2),
    "resize bilinear to 50x37": _resized(50, 37),
    "resize bilinear to a half": _resized(_H // 2, _W // 2),
    "resize nearest x2": _resized(2 * _H, 2 * _W, "nearest"),
    "space to depth 2": _alone(SpaceToDepth, (_H // 2, _W // 2, 4 * _C), block_size=2),
    "depth to space 2": _alone(DepthToSpace, (2 * _H, 2 * _W, _C // 4), block_size=2),
    "depth to space 4": _alone(DepthToSpace, (4 * _H, 4 * _W, _C // 16), block_size=4),
    "pad with zeros": _alone(Pad, (_H + 3, _W + 3, _C), margins=((1, 2), (2, 1)), mode="zero"),
    "pad by reflection": _alone(Pad, (_H + 6, _W + 6, _C), margins=((3, 3), (3, 3)), mode="reflect"),
    "crop": _alone(Crop, (_H - 3, _W - 3, _C), margins=((1, 2), (2, 1))),
    "concatenate": lambda random: (
        *_of_two(Add, 1.0)(random)[:3],
        Concatenate(inputs=(_IMAGE, "exchanged"), output=_MADE, shape=(_H, _W, 2 * _C)),
    ),
    "instance norm": _normalize,
    "relu": _alone(Activate, SHAPE, function="relu"),
    "relu6": _alone(Activate, SHAPE, function="relu6"),
    "leaky relu": _alone(Activate, SHAPE, function="leaky_relu", slope=0.2),
    "tanh": _alone(Activate, SHAPE, function="tanh"),
    "sigmoid": _alone(Activate, SHAPE, function="sigmoid"),
}
