"""The nets of the table, with random weights: their cost does not depend on what they learnt."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from compress.models import mobile_resnet_generator, pocket_generator, resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.pocket.config import Family, PocketConfig
from compress.models.resnet_generator import ResnetConfig
from export.source import load_source

FAMILIES: tuple[Family, ...] = get_args(Family)
TEACHER_WIDTH = 256
"""Channels of CycleGAN's generator at a quarter of the resolution: four times its filters."""
_SHAPES: dict[Family, PocketConfig] = {"separable": PocketConfig(family="separable", width=80, blocks=5)}
"""Shapes of families whose students are not offered in the default shape."""


def build_teacher(width: int = TEACHER_WIDTH) -> Any:
    """Build CycleGAN's generator of 9 blocks, for images of any size.

    Args:
        width: Channels at a quarter of the resolution, a multiple of 4.

    Returns:
        A `keras.Model`, read from a file as a user's own would be.
    """
    net = draw_weights(resnet_generator.build_resnet(ResnetConfig(filters=width // 4)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "teacher.h5"
        resnet_generator.save_h5(net, file)
        return load_source(file).model


def student_shape(family: Family, image_size_px: int, width: int | None = None) -> PocketConfig:
    """Return the shape in which a family's student is offered, or the same of another width."""
    shape = replace(_SHAPES.get(family, PocketConfig(family=family)), image_size_px=image_size_px)
    return shape if width is None else replace(shape, width=width)


def build_untrained_student(shape: PocketConfig) -> Any:
    """Build one of our students, a `keras.Model`."""
    return draw_weights(pocket_generator.build_student(shape))


def build_peer(shape: MobileResnetConfig, image_size_px: int) -> Any:
    """Build one of the published students, a `keras.Model`."""
    return draw_weights(mobile_resnet_generator.build_mobile_resnet(shape, (image_size_px, image_size_px)))


def draw_weights(net: Any) -> Any:
    """Draw every weight of a net at random, in place, and return the net.

    Weights that start at zero or one would be stored once, and leave a quantiser nothing to do.
    """
    random = np.random.default_rng(0)
    for variable in net.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        else:
            fan_in = np.prod(shape[:-1]) if len(shape) == 4 else 100
            variable.assign(random.normal(0, 1 / np.sqrt(fan_in), shape))
    return net
