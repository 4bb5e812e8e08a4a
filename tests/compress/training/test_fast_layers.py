"""Promises of the layers that train faster: Keras's results, gradients and statistics; the model given stays."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress.models import pocket_generator
from compress.models.layers import ReflectionPadding2D
from compress.models.pocket.config import PocketConfig
from compress.training.fast_layers import (
    FastBatchNormalization,
    FastConv2D,
    FastDepthwiseConv2D,
    FastReflectionPadding2D,
    copy_to_translate,
    with_fast_layers,
)
from compress.training.precision import dtype_policy_scope

_RANDOM = np.random.default_rng(0)


def _model(layer: keras.layers.Layer, shape: tuple[int, int, int] = (6, 10, 24)) -> keras.Model:
    image = keras.Input(shape)
    model = keras.Model(image, layer(image))
    model.set_weights([_RANDOM.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    return model


def _photos(shape: tuple[int, ...]) -> np.ndarray:
    return _RANDOM.normal(0.5, 2.0, shape).astype(np.float32)


def _step(model: keras.Model, photos: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the model's images in training and the gradients towards the photos and all trained weights."""
    inputs = tf.constant(photos)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.cast(model(inputs, training=True), tf.float32)
        loss = tf.reduce_mean(
            outputs * tf.cos(tf.range(tf.size(outputs), dtype=tf.float32)).numpy().reshape(outputs.shape)
        )
    slopes: list[Any] = tape.gradient(loss, [inputs, *(variable.value for variable in model.trainable_variables)])
    return outputs.numpy(), [slope.numpy() for slope in slopes]


def _assert_equal_steps(ours: keras.Model, theirs: keras.Model, photos: np.ndarray, tolerance: float) -> None:
    (images, slopes), (expected_images, expected_slopes) = _step(ours, photos), _step(theirs, photos)
    for found, expected in zip([images, *slopes], [expected_images, *expected_slopes], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    for found, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3},
        {"kernel_size": 5, "use_bias": False},
        {"kernel_size": (1, 3), "activation": "relu"},
        {"kernel_size": 4},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "depth_multiplier": 2},
    ],
    ids=str,
)
def test_a_depthwise_convolution_has_the_gradients_of_keras(options: dict[str, Any]) -> None:
    padding = "valid" if options["kernel_size"] == 4 else "same"
    theirs = _model(keras.layers.DepthwiseConv2D(padding=padding, **options))
    ours = with_fast_layers(theirs)
    assert type(ours.layers[1]) is FastDepthwiseConv2D
    _assert_equal_steps(ours, theirs, _photos((3, 6, 10, 24)), 1e-5)


@pytest.mark.parametrize("channels", [24, 32])
@pytest.mark.parametrize(
    "options", [{}, {"epsilon": 1e-2, "momentum": 0.5}, {"scale": False}, {"center": False}], ids=str
)
def test_batch_norm_has_the_gradients_and_statistics_of_keras(channels: int, options: dict[str, Any]) -> None:
    theirs = _model(keras.layers.BatchNormalization(**options), (6, 10, channels))
    ours = with_fast_layers(theirs)
    assert type(ours.layers[1]) is FastBatchNormalization
    _assert_equal_steps(ours, theirs, _photos((3, 6, 10, channels)), 1e-5)


def test_batch_norm_that_is_not_trained_keeps_its_statistics() -> None:
    theirs = keras.layers.BatchNormalization()
    model = _model(theirs)
    theirs.trainable = False
    ours, photos = with_fast_layers(model), _photos((3, 6, 10, 24))
    np.testing.assert_allclose(ours(photos, training=True), model(photos, training=False), rtol=1e-5, atol=1e-5)
    for kept, weight in zip(ours.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, weight)


@pytest.mark.parametrize("channels", [24, 32])
@pytest.mark.parametrize("layer", [keras.layers.DepthwiseConv2D, keras.layers.BatchNormalization])
def test_half_precision_is_as_close_to_float32_as_that_of_keras(layer: Any, channels: int) -> None:
    options = {"kernel_size": 5, "padding": "same"} if layer is keras.layers.DepthwiseConv2D else {}
    shape = (6, 10, channels)
    with dtype_policy_scope("mixed_bfloat16"):
        half = _model(layer(**options), shape)
    wide, ours = _model(layer(**options), shape), with_fast_layers(half)
    wide.set_weights(half.get_weights())
    assert ours.layers[1].compute_dtype == half.layers[1].compute_dtype == "bfloat16"
    photos = _photos((3, *shape))
    (_, exact), (_, found), (_, keras_found) = (_step(model, photos) for model in (wide, ours, half))
    for slopes in zip(found, keras_found, exact, strict=True):
        ours_off, keras_off = (np.linalg.norm(slope - slopes[2]) / np.linalg.norm(slopes[2]) for slope in slopes[:2])
        assert ours_off < max(2**-8, 1.2 * keras_off)


def test_a_student_keeps_its_layers_and_is_trained_in_a_copy_with_weights_in_the_same_order() -> None:
    student = pocket_generator.build_student(PocketConfig(image_size_px=16, width=8, blocks=1, family="unet"))
    before, photos = student.get_weights(), _photos((2, 16, 16, 3))
    copy = with_fast_layers(student)
    assert [layer.name for layer in copy.layers] == [layer.name for layer in student.layers]
    assert {FastBatchNormalization, FastDepthwiseConv2D} < {type(layer) for layer in copy.layers}
    _assert_equal_steps(copy, student, photos, 1e-4)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    assert not {FastBatchNormalization, FastDepthwiseConv2D} & {type(layer) for layer in student.layers}
    student.set_weights(before)
    expected = student(photos)
    copy.set_weights(before)
    np.testing.assert_allclose(copy(photos), expected, atol=1e-6)


def test_other_backends_train_the_layers_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(keras.layers.BatchNormalization())
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert with_fast_layers(model) is model


def test_gpus_train_the_layers_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(keras.layers.BatchNormalization())
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert with_fast_layers(model) is model


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 7, "activation": "tanh"},
        {"kernel_size": (3, 5), "use_bias": False},
        {"kernel_size": 4},
        {"kernel_size": 1},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "groups": 3},
    ],
    ids=str,
)
def test_a_convolution_with_few_filters_makes_what_that_of_keras_makes(options: dict[str, Any], padding: str) -> None:
    theirs = _model(keras.layers.Conv2D(3, padding=padding, **options), (12, 16, 6))
    ours = copy_to_translate(theirs, "float32")
    assert type(ours.layers[1]) is FastConv2D
    photos = _photos((2, 12, 16, 6))
    expected = theirs.predict_on_batch(photos)
    np.testing.assert_allclose(ours.predict_on_batch(photos), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("filters", [1, 4, 5])
@pytest.mark.parametrize("size", [(10, 8), (9, 8), (None, None)])
def test_convolutions_that_squares_do_not_fit_are_left_to_keras(filters: int, size: Any) -> None:
    theirs = _model(keras.layers.Conv2D(filters, 3, padding="same"), (*size, 5))
    photos = _photos((2, size[0] or 7, size[1] or 6, 5))
    found = copy_to_translate(theirs, "float32").predict_on_batch(photos)
    np.testing.assert_allclose(found, theirs.predict_on_batch(photos), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(9, 12), (None, None)])
@pytest.mark.parametrize("margins", [((3, 3), (3, 3)), ((0, 1), (2, 0))])
def test_a_gathered_border_is_the_mirrored_one(margins: Any, size: Any) -> None:
    theirs = _model(ReflectionPadding2D(margins), (*size, 5))
    ours = copy_to_translate(theirs, "float32")
    assert type(ours.layers[1]) is FastReflectionPadding2D
    photos = _photos((2, 9, 12, 5))
    np.testing.assert_array_equal(ours.predict_on_batch(photos), theirs.predict_on_batch(photos))


def test_a_copy_to_translate_computes_in_its_policy_and_leaves_the_model_as_it_was() -> None:
    theirs = _model(keras.layers.Conv2D(3, 3, padding="same"), (8, 8, 6))
    photos = _photos((2, 8, 8, 6))
    before = theirs.predict_on_batch(photos)
    ours = copy_to_translate(theirs, "mixed_bfloat16")
    assert (ours.layers[1].compute_dtype, ours.layers[1].variable_dtype) == ("bfloat16", "float32")
    np.testing.assert_allclose(np.float32(ours.predict_on_batch(photos)), before, atol=2**-6 * np.abs(before).max())
    np.testing.assert_array_equal(theirs.predict_on_batch(photos), before)
    assert type(theirs.layers[1]) is keras.layers.Conv2D


def test_gpus_translate_with_the_layers_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(keras.layers.Conv2D(3, 3), (8, 8, 6))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert type(copy_to_translate(model, "float32").layers[1]) is keras.layers.Conv2D
