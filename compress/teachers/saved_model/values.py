"""Values that tensors of a TensorFlow graph stand for while the graph is translated.

A normalisation has no operation of its own there: it is means, differences and products, which these values carry until
it is complete and becomes a layer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Image:
    """Output of a layer, by name."""

    layer: str


@dataclass(frozen=True)
class SizeOf:
    """Height and width of an image times a factor, from which up-sampling computes its target size."""

    image: str
    factors: tuple[int, int] = (1, 1)


@dataclass(frozen=True)
class Moment:
    """Mean of an image over height and width, its squared difference from that, or its variance plus epsilon."""

    image: str
    kind: Literal["mean", "squared_difference", "variance"]
    epsilon: float = 0.0


@dataclass(frozen=True)
class Centred:
    """Image minus its mean."""

    image: str


@dataclass(frozen=True, eq=False)
class Inverse:
    """`gain / sqrt(variance + epsilon)` of an image, and that times the image or its mean."""

    image: str
    epsilon: float
    gain: np.ndarray | None = None
    times: Literal["nothing", "image", "mean"] = "nothing"


@dataclass(frozen=True, eq=False)
class Offset:
    """`beta - mean * gain / sqrt(variance + epsilon)`: the offset that completes an `Inverse` times its image."""

    beta: np.ndarray
    scaled_mean: Inverse


@dataclass(frozen=True, eq=False)
class Scaled:
    """Image times a gain per channel, before its offset is known."""

    image: str
    gain: np.ndarray


@dataclass(frozen=True)
class Unknown:
    """Result of an unknown operation; harmless until an image depends on it."""

    operation: str


Value = Image | SizeOf | Moment | Centred | Inverse | Offset | Scaled | Unknown | np.ndarray | None
