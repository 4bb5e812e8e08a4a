"""A student's training on two devices is that on one, step for step, with all that may belong to it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from compress.distill import distiller
from compress.distill.config import FitConfig
from compress.distill.step_inputs import step_inputs, step_pairs
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student
from compress.training.fast_layers import with_fast_layers

SIZE_PX, BATCH_SIZE = 40, 4
SHAPE = PocketConfig(image_size_px=SIZE_PX, width=8, blocks=1)
# At the full rate, whatever differs grows beside a discriminator: the batch in another order is as far off.
CONFIG = FitConfig(
    steps=20, batch_size=BATCH_SIZE, learning_rate=1e-4, adversarial_weight=1.0, discriminator_filters=4,
    l1_final_scale=0.1, discriminator_crop_px=32, adversarial_from_step=0, precision="float32",
)  # fmt: skip
FIRST_STEP, LAST_STEP = 1e-6, 1e-5
"""Largest differences of a weight or loss after a step and after twenty: measured were 2.4e-7 and 4.2e-7, and 3e-7 of
one device that was given its batches in another order."""
GRADIENT = 5e-6
"""Largest difference of a gradient's share in Adam's momentum, of up to 1: 9.5e-7 was measured."""


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A perceptual network of two scales."""
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 3))
    half = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    quarter = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(half)
    path = tmp_path_factory.mktemp("network") / "network.keras"
    keras.Model(image, [half, quarter]).save(path)
    return str(path)


def test_beside_patches_and_their_pool_of_images(
    train: Callable[..., Any], largest_difference: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compress.distill.discriminators.patch._POOL_SIZE", 10)
    config = replace(CONFIG, discriminator="patch", matching_weight=1.0, discriminator_hold_ratio=0.5)
    _compare(train, largest_difference, config)


def test_beside_a_perceptual_network_with_squares_at_first(
    train: Callable[..., Any], largest_difference: Callable[..., float], network_file: str
) -> None:
    network = {"perceptual_network": network_file, "perceptual_weight": 1.0, "statistics_weight": 1.0}
    _compare(
        train, largest_difference, replace(CONFIG, discriminator="projected", crop_px=32, crop_until=0.5, **network)
    )


def _compare(train: Callable[..., Any], largest_difference: Callable[..., float], config: FitConfig) -> None:
    random = np.random.default_rng(0)
    photos = random.uniform(-1, 1, (20, BATCH_SIZE, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    real = random.integers(0, 256, (9, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)

    def batch(step: int) -> tuple[Any, Any]:
        seen, targets = step_pairs(photos[step], -photos[step], step, config)
        return step_inputs(seen, step, config, real), targets

    def compiled() -> keras.Model:
        return distiller.compile_distiller(with_fast_layers(build_student(SHAPE)), config)

    one, two = train(compiled, batch, 1), train(compiled, batch, 2)
    for step, bound in ((0, FIRST_STEP), (1, LAST_STEP)):
        assert largest_difference(one[step].weights, two[step].weights) <= bound
        assert one[step].losses == pytest.approx(two[step].losses, abs=bound)
    assert largest_difference(one[0].momenta, two[0].momenta) <= GRADIENT
