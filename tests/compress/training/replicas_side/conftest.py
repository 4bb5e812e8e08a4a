"""A processor that counts as two devices, and steps of a training on one or on both."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest

from compress.training import replicas

STEPS = 20


@pytest.fixture(scope="session", autouse=True)
def _two_devices() -> None:
    """Tell TensorFlow before it computes anything."""
    with replicas.opened(2):
        pass


@dataclass(frozen=True)
class State:
    """A training after a step; variables by their place and name."""

    weights: dict[str, np.ndarray]
    momenta: dict[str, np.ndarray]
    """Adam's first moments, which after one step are the gradients but for a factor."""
    losses: dict[str, float]


@pytest.fixture(scope="session")
def train() -> Callable[..., tuple[State, State]]:
    """Train what `compiled` makes on so many devices; return its states after one step and after `STEPS`."""

    def call(
        compiled: Callable[[], keras.Model], batch: Callable[[int], Sequence[Any]], devices: int
    ) -> tuple[State, State]:
        with replicas.opened(devices) as together:
            keras.utils.set_random_seed(0)
            with together.scope():
                model = compiled()
                model.optimizer.build(model.trainable_variables)
            together.prepare(model)
            # Adam makes a gradient that is but rounding, as of a bias before a norm, as large as any other.
            model.optimizer.epsilon = 1e-3
            first = _state(model, together.train_on_batch(model, batch(0)))
            losses = [together.train_on_batch(model, batch(step)) for step in range(1, STEPS)]
            return first, _state(model, losses[-1])

    return call


def _state(model: keras.Model, losses: Any) -> State:
    momenta = [one for one in model.optimizer.variables if "_momentum" in one.path]
    return State(_by_place(model.variables), _by_place(momenta), dict(losses))


def _by_place(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    # Keras counts the layers of all models in their names.
    names = [re.sub(r"_\d+", "", one.path) for one in variables]
    return {f"{place} {name}": one.numpy() for place, (name, one) in enumerate(zip(names, variables, strict=True))}


@pytest.fixture(scope="session")
def largest_difference() -> Callable[[dict[str, np.ndarray], dict[str, np.ndarray]], float]:
    """Return the largest difference of two trainings' variables."""

    def call(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
        assert one.keys() == other.keys()
        apart = {name: float(np.abs(one[name] - other[name]).max()) for name in one}
        name = max(apart, key=lambda name: apart[name])
        print(f"largest difference: {apart[name]:.2g}, {name}")
        return apart[name]

    return call
