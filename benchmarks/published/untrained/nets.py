"""The nets that the table always holds, with random weights: what they cost does not depend on what they learnt."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from compress.models import mobile_resnet_generator, pocket_generator, resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.pocket.config import Family, PocketConfig
from compress.models.resnet_generator import ResnetConfig
from export.source import open_source

FAMILIES: tuple[Family, ...] = get_args(Family)
TEACHER_WIDTH = 256
"""Of CycleGAN's generator, at a quarter of the resolution: four times its filters."""
_SHAPES: dict[Family, PocketConfig] = {"separable": PocketConfig(family="separable", width=80, blocks=5)}
"""Where a family's students are offered in another shape than the default."""


def teacher(width: int = TEACHER_WIDTH) -> Any:
    """CycleGAN's generator of 9 blocks, for images of any size.

    Args:
        width: Channels at a quarter of the resolution, a multiple of 4.

    Returns:
        A `keras.Model`, read from a file as a user's own would be.
    """
    net = with_random_weights(resnet_generator.build(ResnetConfig(filters=width // 4)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.h5"
        resnet_generator.save_h5(net, file)
        return open_source(file).model


def shape_of(family: Family, image_size_px: int, width: int | None = None) -> PocketConfig:
    """The shape in which a family's student is offered, or the same of another width."""
    shape = replace(_SHAPES.get(family, PocketConfig(family=family)), image_size_px=image_size_px)
    return shape if width is None else replace(shape, width=width)


def student(shape: PocketConfig) -> Any:
    """One of our students, a `keras.Model`."""
    return with_random_weights(pocket_generator.build(shape))


def peer(shape: MobileResnetConfig, image_size_px: int) -> Any:
    """One of the published students, a `keras.Model`."""
    return with_random_weights(mobile_resnet_generator.build(shape, (image_size_px, image_size_px)))


def with_random_weights(net: Any) -> Any:
    """Draw every weight: what starts at zero or one would be stored once, and a quantiser would find nothing to do."""
    random = np.random.default_rng(0)
    for variable in net.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        else:
            fan_in = np.prod(shape[:-1]) if len(shape) == 4 else 100
            variable.assign(random.normal(0, 1 / np.sqrt(fan_in), shape))
    return net
