"""One step of the model against the published alternation: each net's own loss, differentiated on its own."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress.teach import cyclegan
from compress.teach.config import TeachConfig
from compress.teach.cyclegan import CycleGan

CONFIG = TeachConfig(
    image_size_px=32,
    image_width_px=36,
    steps=10,
    decay_steps=0,
    batch_size=2,
    filters=4,
    blocks=1,
    pool_size=3,
    precision="float32",
)
WASSERSTEIN = replace(CONFIG, adversarial_loss="wasserstein")
ANNEALED = replace(CONFIG, anneal_steps=5, pixel_weight=7.0)

Inputs = Mapping[str, np.ndarray]


def _inputs(anneal: float = 1.0) -> Inputs:
    """A step at which the pool is full: of two images, it swaps one and lets one pass."""
    random = np.random.default_rng(0)
    photos = random.uniform(-1, 1, (2, 2, 32, 36, 3)).astype(np.float32)
    return {
        "a": photos[0],
        "b": photos[1],
        "slots": np.array([2, 0], np.int32),
        "show_new": np.array([True, False]),
        "keep_new": np.array([False, True]),
        "anneal": np.full(1, anneal, np.float32),
    }


def _model(config: TeachConfig) -> CycleGan:
    """Its optimiser takes a gradient off the weights as it is; eager, since compiling takes longer than the step."""
    keras.utils.set_random_seed(0)
    model = cyclegan.compile_cyclegan(config)
    model.compile(optimizer=keras.optimizers.SGD(1.0), run_eagerly=True)
    model.built = True
    random = np.random.default_rng(1)
    for pool in (model.pool_a, model.pool_b):
        pool.images.assign(random.uniform(-1, 1, pool.images.shape))
    return model


def _gradients_of_the_alternation(model: CycleGan, config: TeachConfig, inputs: Inputs) -> list[np.ndarray]:
    """Gradients of the generators' loss with fixed discriminators, then of each discriminator's with fixed images."""
    before = [weight.numpy() for weight in model.variables]
    a, b = tf.constant(inputs["a"]), tf.constant(inputs["b"])
    generators = [weight.value for net in (model.a2b, model.b2a) for weight in net.trainable_variables]
    with tf.GradientTape() as tape:
        fake_b, fake_a = model.a2b(a, training=True), model.b2a(b, training=True)
        loss = _generator_loss(model.discriminator_a(fake_a, training=True), config) + _generator_loss(
            model.discriminator_b(fake_b, training=True), config
        )
        loss += 10 * tf.reduce_mean(abs(model.b2a(fake_b) - a)) + 10 * tf.reduce_mean(abs(model.a2b(fake_a) - b))
        loss += 5 * tf.reduce_mean(abs(model.b2a(a) - a)) + 5 * tf.reduce_mean(abs(model.a2b(b) - b))
    found = tape.gradient(loss, generators)
    # A discriminator's estimate of its singular values went on; each loss is asked for at the same start.
    for weight, value in zip(model.variables, before, strict=True):
        weight.assign(value)
    for discriminator, real, fake, pool in (
        (model.discriminator_a, a, fake_a, model.pool_a),
        (model.discriminator_b, b, fake_b, model.pool_b),
    ):
        pooled = tf.stack([fake[0], pool.images.value[0]])
        with tf.GradientTape() as tape:
            loss = _discriminator_loss(
                discriminator(real, training=True), discriminator(tf.constant(pooled), training=True), config
            )
        found += tape.gradient(loss, [weight.value for weight in discriminator.trainable_variables])
    for weight, value in zip(model.variables, before, strict=True):
        weight.assign(value)
    return [tf.convert_to_tensor(gradient).numpy() for gradient in found]


def _generator_loss(scores: Any, config: TeachConfig) -> Any:
    return -tf.reduce_mean(scores) if config.adversarial_loss == "wasserstein" else tf.reduce_mean((scores - 1) ** 2)


def _discriminator_loss(real: Any, fake: Any, config: TeachConfig) -> Any:
    if config.adversarial_loss == "wasserstein":
        return tf.reduce_mean(fake) - tf.reduce_mean(real)
    return 0.5 * (tf.reduce_mean((real - 1) ** 2) + tf.reduce_mean(fake**2))


@pytest.mark.parametrize("config", [CONFIG, WASSERSTEIN], ids=["lsgan", "wasserstein"])
def test_one_step_is_the_published_alternation(config: TeachConfig) -> None:
    model, inputs = _model(config), _inputs()
    expected = _gradients_of_the_alternation(model, config, inputs)
    nets = (model.a2b, model.b2a, model.discriminator_a, model.discriminator_b)
    weights = [weight for net in nets for weight in net.trainable_variables]
    before = [weight.numpy() for weight in weights]
    model.train_on_batch(inputs)
    largest = max(np.abs(gradient).max() for gradient in expected)
    assert largest > 1e-2
    for weight, old, gradient in zip(weights, before, expected, strict=True):
        # float32 sums of thousands of terms, and what subtracting from a weight around 1 leaves of a gradient.
        np.testing.assert_allclose(old - weight.numpy(), gradient, rtol=1e-3, atol=1e-5 * largest, err_msg=weight.path)


def test_the_discriminators_are_shown_the_pool_s_image_where_the_toss_says_so() -> None:
    model, inputs = _model(CONFIG), _inputs()
    before = np.array(model.pool_b.images)
    fake = np.asarray(model.a2b(inputs["a"], training=True))
    model.train_on_batch(inputs)
    after = np.array(model.pool_b.images)
    np.testing.assert_allclose(after[0], fake[1], atol=1e-6)
    np.testing.assert_array_equal(after[1:], before[1:])


def _losses(model: CycleGan, inputs: Inputs) -> dict[str, float]:
    """Each loss on its own, and under `total` what is minimised."""
    total = model.compute_loss(x=inputs, y_pred=model(inputs, training=True), training=True)
    values = {metric.name: float(metric.result()) for metric in model.metrics if metric.name != "loss"}
    return values | {"total": float(total)}


@pytest.mark.parametrize("anneal", [0.0, 0.25, 1.0])
def test_the_pixel_loss_gives_way_to_the_adversarial_loss(anneal: float) -> None:
    model, inputs = _model(ANNEALED), _inputs(anneal)
    losses = _losses(model, inputs)
    fake_b, fake_a = model.a2b(inputs["a"]), model.b2a(inputs["b"])
    pixel = np.abs(np.asarray(fake_b) - inputs["a"]).mean() + np.abs(np.asarray(fake_a) - inputs["b"]).mean()
    assert losses["pixel"] == pytest.approx(pixel, rel=1e-4)
    expected = 10 * losses["cycle"] + 5 * losses["identity"] + losses["discriminator_a"] + losses["discriminator_b"]
    expected += anneal * (losses["adversarial_a"] + losses["adversarial_b"]) + (1 - anneal) * 7 * losses["pixel"]
    assert losses["total"] == pytest.approx(expected, rel=1e-5)


GROWING = replace(ANNEALED, image_size_px=128, image_width_px=144, quarter_size_steps=1, half_size_steps=1, pool_size=8)


def _pixel_target(make: Callable[[Any], Any], photos: np.ndarray) -> np.ndarray:
    """The target of the pixel loss, had the nets of half the size done `make`."""
    model = _model(GROWING)
    model.smaller_a2b = model.smaller_b2a = lambda small, training: make(small)  # pyright: ignore[reportAttributeAccessIssue]
    fake_b, fake_a = model._pixel_targets(tf.constant(photos), tf.constant(photos))
    np.testing.assert_array_equal(fake_a, fake_b)
    return np.asarray(fake_b)


def test_at_a_larger_size_the_pixel_loss_pulls_towards_what_was_made_at_the_smaller_one() -> None:
    photos = np.random.default_rng(2).uniform(-1, 1, (1, 64, 72, 3)).astype(np.float32)
    np.testing.assert_allclose(_pixel_target(lambda small: small, photos), photos, atol=1e-6)
    # What was changed through and through comes without the photo's details.
    np.testing.assert_allclose(_pixel_target(lambda small: 0 * small + 3, photos), 3.0, atol=1e-6)


def test_at_the_first_size_the_pixel_loss_pulls_towards_the_photos_themselves() -> None:
    a, b = tf.zeros((1, 32, 36, 3)), tf.ones((1, 32, 36, 3))
    assert _model(GROWING)._pixel_targets(a, b) == (a, b)


def test_the_nets_of_the_smaller_size_are_carried_along_only_where_they_are_needed() -> None:
    assert not hasattr(cyclegan.compile_cyclegan(ANNEALED), "smaller_a2b")
    model = cyclegan.compile_cyclegan(GROWING)
    trained = {id(weight) for weight in model.trainable_variables}
    assert trained.isdisjoint(id(weight) for weight in [*model.smaller_a2b.weights, *model.smaller_b2a.weights])


def test_weights_multiply_their_losses() -> None:
    losses = _losses(_model(replace(CONFIG, cycle_weight=3.0, identity_weight=2.0)), _inputs())
    rest = sum(losses[name] for name in ("adversarial_a", "adversarial_b", "discriminator_a", "discriminator_b"))
    assert losses["total"] == pytest.approx(3 * losses["cycle"] + 2 * losses["identity"] + rest, rel=1e-5)


def test_an_identity_loss_that_weighs_nothing_costs_nothing() -> None:
    model, inputs = _model(replace(CONFIG, identity_weight=0.0)), _inputs()
    assert set(model(inputs, training=True)) == {"fake_a", "fake_b", "cycled_a", "cycled_b"}
    assert _losses(model, inputs)["identity"] == 0


def test_a_cycle_loss_that_weighs_nothing_costs_nothing() -> None:
    model, inputs = _model(replace(CONFIG, cycle_weight=0.0)), _inputs()
    assert set(model(inputs, training=True)) == {"fake_a", "fake_b", "identity_a", "identity_b"}
    assert _losses(model, inputs)["cycle"] == 0


def test_the_paired_loss_is_the_mean_absolute_difference_to_the_paired_images() -> None:
    random = np.random.default_rng(3)
    paired = {name: random.uniform(-1, 1, (2, 32, 36, 3)).astype(np.float32) for name in cyclegan.PAIRED_INPUTS}
    inputs = {**_inputs(), **paired}
    model = _model(replace(CONFIG, paired_weight=100.0))
    losses = _losses(model, inputs)
    fake_b, fake_a = model.a2b(inputs["a"]), model.b2a(inputs["b"])
    expected = np.abs(np.asarray(fake_b) - paired["paired_a"]).mean()
    expected += np.abs(np.asarray(fake_a) - paired["paired_b"]).mean()
    assert losses["paired"] == pytest.approx(expected, rel=1e-4)
    rest = sum(losses[name] for name in ("adversarial_a", "adversarial_b", "discriminator_a", "discriminator_b"))
    rest += 10 * losses["cycle"] + 5 * losses["identity"]
    assert losses["total"] == pytest.approx(rest + 100 * losses["paired"], rel=1e-5)


def test_every_loss_is_counted_once() -> None:
    names = [metric.name for metric in _model(CONFIG).metrics]
    assert len(names) == len(set(names))
    losses = {
        "adversarial_a",
        "adversarial_b",
        "cycle",
        "identity",
        "paired",
        "pixel",
        "discriminator_a",
        "discriminator_b",
    }
    assert losses < set(names)


def test_half_precision_computes_in_bfloat16_and_keeps_weights_and_losses_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = _model(replace(CONFIG, precision="mixed_bfloat16"))
    finally:
        keras.config.set_dtype_policy("float32")
    fake = model(_inputs(), training=True)
    assert fake["fake_b"].dtype == tf.float32
    assert {layer.compute_dtype for layer in model.a2b.layers if "conv" in layer.name} == {"bfloat16"}
    assert {weight.dtype for weight in model.variables} == {"float32"}
    assert model.compute_loss(x=_inputs(), y_pred=fake).dtype == tf.float32
