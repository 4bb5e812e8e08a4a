"""Values that tensors of a TensorFlow graph stand for while the graph is translated.

A normalisation has no operation of its own there: it is means, differences and products, which a `Combined` carries
until an operation needs the image itself, and it becomes layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress.teachers.description import LayerKind


@dataclass(frozen=True)
class Image:
    """Output of a layer, by name."""

    layer: str


@dataclass(frozen=True)
class Statistics:
    """Which pixels are normalised together, and by what: `sqrt(variance + epsilon) + outside`."""

    groups: int | None = None
    """Number of groups of consecutive channels; None where each channel is one."""
    epsilon: float = 0.0
    outside: float = 0.0


Powers = tuple[int, int, int]
"""Exponents of an image, of its mean and of the inverse of its deviation."""


@dataclass(eq=False)
class Combined:
    """Sum of products of an image, its mean and the inverse of its deviation, each with a factor for each channel."""

    image: str
    terms: Mapping[Powers, np.ndarray]
    """Factors, `(channels,)` or of one value, by the powers that they stand before."""
    statistics: Statistics | None = None
    """None as long as neither mean nor deviation is a part of it."""
    parted: tuple[int, int] | None = None
    """Groups and channels of each, where the last axis was split into these."""
    written: str | None = field(default=None, repr=False)
    """Layer that makes it, once one does."""


@dataclass(frozen=True)
class SecondMoment:
    """Mean of an image's square."""

    image: str
    groups: int | None


@dataclass(frozen=True)
class Spread:
    """Variance plus epsilon, or its square root plus another."""

    image: str
    statistics: Statistics
    root: bool = False


@dataclass(frozen=True)
class Dimension:
    """Side or channels of an image times a factor."""

    image: str
    axis: int
    factor: int = 1


@dataclass(frozen=True)
class Sizes:
    """Several dimensions and numbers: a shape, or a part of one."""

    entries: tuple["Dimension | int", ...]


@dataclass(frozen=True)
class Repeated:
    """Image with a new axis behind height or width, in which each row or column stands several times."""

    image: str
    axis: int
    factor: int = 1


@dataclass(frozen=True, eq=False)
class TakenApart:
    """Image that is padded and taken apart into smaller ones, for a dilated convolution; or the results of these."""

    image: str
    block: tuple[int, int]
    """Pixels in height and width from one of a smaller image to the next."""
    margins: list[list[int]]
    """Pixels of zeros before and after, in height and width."""
    convolution: tuple[LayerKind, dict[str, Any], np.ndarray] | None = None
    """Kind, configuration and kernel of the layer that convolves the smaller ones, once one does."""


@dataclass(frozen=True)
class Unknown:
    """Result of an unknown operation; harmless until an image depends on it."""

    operation: str


Value = (
    Image | Combined | SecondMoment | Spread | Dimension | Sizes | Repeated | TakenApart | Unknown | np.ndarray | None
)
