"""Tiny students with weights that all matter, so that a slice gone wrong shows."""

from collections.abc import Callable

import keras
import numpy as np
import pytest

from compress.models import pocket_generator
from compress.models.pocket_generator import Family, PocketConfig

MakeStudent = Callable[..., keras.Model]


def _randomise(model: keras.Model) -> keras.Model:
    random = np.random.default_rng(5)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, shape))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(random.normal(0, 0.3, shape))
        elif variable.dtype == "float32":
            variable.assign(random.normal(0, 1, shape) / np.sqrt(np.prod(shape[:-1])))
    return model


@pytest.fixture(scope="session")
def randomise() -> Callable[[keras.Model], keras.Model]:
    """Give every weight of a model, BatchNorm's statistics too, a value that matters."""
    return _randomise


@pytest.fixture(scope="session")
def make_student() -> MakeStudent:
    """Build a student of random weights."""

    def make(
        family: Family = "pixel_shuffle", width: int = 16, blocks: int = 2, context: bool = True, side: int = 16
    ) -> keras.Model:
        config = PocketConfig(family=family, image_size_px=side, width=width, blocks=blocks, context=context)
        return _randomise(pocket_generator.build_student(config))

    return make
