"""Averaged weights and statistics that fit them: in a model for a while, and nothing else of it changed."""

import keras
import numpy as np
import pytest

from compress.training.averaging import averaged_weights, has_batch_norm, refresh_batch_statistics


def _model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    optimizer = keras.optimizers.Adam(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=None)
    model.compile(optimizer=optimizer, loss="mse", jit_compile=False)
    return model


def _batch(step: int) -> np.ndarray:
    return np.random.default_rng(step).normal(3.0, 2.0, size=(5, 4)).astype(np.float32)


def _train(model: keras.Model, steps: int) -> list[list[np.ndarray]]:
    """Train; return the trained weights behind each step."""
    seen = []
    for step in range(steps):
        model.train_on_batch(_batch(step), np.zeros((5, 4), np.float32))
        seen.append([variable.numpy().copy() for variable in model.trainable_variables])
    return seen


def test_averaged_weights_are_in_the_model_for_the_time_of_the_block() -> None:
    model = _model()
    seen = _train(model, 3)
    before = [*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)]
    # Keras starts the average from the first step's weights.
    expected = [0.25 * one + 0.25 * two + 0.5 * three for one, two, three in zip(*seen, strict=True)]
    with averaged_weights(model):
        for variable, value in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, rtol=1e-5, atol=1e-6)
        refresh_batch_statistics(model, _batch, 2)
    after = [*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(other, one)


def test_weights_come_back_from_a_block_that_fails() -> None:
    model = _model()
    _train(model, 2)
    before = model.get_weights()
    with pytest.raises(RuntimeError), averaged_weights(model):
        raise RuntimeError
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


def test_refreshed_statistics_are_the_mean_over_the_batches_whatever_they_were() -> None:
    model = _model()
    _train(model, 2)
    dense, norm = model.layers
    trained = [variable.numpy().copy() for variable in model.trainable_variables]
    refresh_batch_statistics(model, _batch, 7)
    outputs = [_batch(step) @ dense.kernel.numpy() + dense.bias.numpy() for step in range(7)]
    np.testing.assert_allclose(norm.moving_mean.numpy(), np.mean([one.mean(0) for one in outputs], 0), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), np.mean([one.var(0) for one in outputs], 0), rtol=1e-4)
    assert norm.momentum == keras.layers.BatchNormalization().momentum
    for one, other in zip(trained, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(other.numpy(), one)


def test_batch_norm_is_found_in_models_inside_of_models() -> None:
    outer = keras.Sequential([keras.Input((4,)), _model()])
    assert has_batch_norm(outer)
    refresh_batch_statistics(outer, _batch, 1)
    assert np.all(outer.layers[0].layers[-1].moving_mean.numpy() != 0)


def test_a_net_without_statistics_is_shown_nothing() -> None:
    net = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    assert not has_batch_norm(net)
    refresh_batch_statistics(net, lambda _: pytest.fail("shown"), 3)
