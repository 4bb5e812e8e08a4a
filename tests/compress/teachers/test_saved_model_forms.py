"""Normalisations, resizings and scalings that a SavedModel writes as arithmetic, in every order they come in."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from compress.errors import UnusableModel, UsageError
from compress.teachers import read

Form = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def _moments(images):
    return tf.nn.moments(images, axes=[1, 2], keepdims=True)


def _regrouped(images, gain, offset):
    mean, variance = _moments(images)
    return (gain * (images - mean)) * tf.math.rsqrt(variance + 1e-5) + offset


def _factored(images, gain, offset):
    mean, variance = _moments(images)
    factor = gain * tf.math.rsqrt(variance + 1e-5)
    return images * factor + (offset - mean * factor)


def _negated(images, gain, offset):
    mean, variance = _moments(images)
    factor = tf.math.rsqrt(variance + 1e-5) * gain
    return (-mean) * factor + offset + images * factor


def _divided(images, gain, offset):
    mean, variance = _moments(images)
    return gain * ((images - mean) / tf.sqrt(variance + 1e-5)) + offset


def _reciprocal(images, gain, offset):
    mean, variance = _moments(images)
    return (images - mean) * (1.0 / tf.sqrt(variance + 1e-5)) * gain + offset


def _power(images, gain, offset):
    mean = tf.reduce_mean(images, [1, 2], keepdims=True)
    centred = images - mean
    variance = tf.reduce_mean(centred**2, [1, 2], keepdims=True)
    return centred * tf.pow(variance + 1e-5, -0.5) * gain + offset


def _second_moment(images, gain, offset):
    mean = tf.reduce_mean(images, [1, 2], keepdims=True)
    variance = tf.reduce_mean(tf.square(images), [1, 2], keepdims=True) - tf.square(mean)
    return gain * (images - mean) * tf.math.rsqrt(variance + 1e-5) + offset


def _outside(images, gain, offset):
    mean, variance = _moments(images)
    return gain * (images - mean) / (tf.sqrt(variance) + 1e-2) + offset


def _with_residual(images, gain, offset):
    return images + _regrouped(images, gain, offset)


def _without_affine(images, gain, offset):
    mean, variance = _moments(images)
    return (images - mean) * tf.math.rsqrt(variance + 1e-5)


def _whole_image(images, gain, offset):
    mean, variance = tf.nn.moments(images, axes=[1, 2, 3], keepdims=True)
    return gain * (images - mean) * tf.math.rsqrt(variance + 1e-5) + offset


FORMS = [_regrouped, _factored, _negated, _divided, _reciprocal, _power, _second_moment, _outside, _with_residual]


class OwnArithmetic(layers.Layer):
    """Layer whose arithmetic is given, with a gain and an offset of each channel."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    def build(self, shape) -> None:
        self.gain = self.add_weight(
            name="gain", shape=(shape[-1],), initializer=keras.initializers.RandomNormal(seed=1)
        )
        self.offset = self.add_weight(name="offset", shape=(shape[-1],), initializer="random_normal")

    def call(self, images):
        return self.form(images, self.gain.value, self.offset.value)


def _exported(path: Path, middle: Callable, side: int | None, channels: int = 8) -> keras.Model:
    """A convolution, what is to be recognised, and a convolution to RGB."""
    keras.utils.set_random_seed(5)
    image = keras.Input((side, side, 3))
    features = middle(layers.Conv2D(channels, 3, padding="same", bias_initializer="random_normal")(image))
    model = keras.Model(image, layers.Conv2D(3, 1, activation="tanh")(features))
    model.export(path, verbose=False)
    return model


def _photos(side: int | None) -> np.ndarray:
    shape = (2, side or 12, side or 20, 3)
    return np.random.default_rng(6).uniform(-1, 1, shape).astype(np.float32)


def _kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize("form", [*FORMS, _without_affine, _whole_image], ids=lambda form: form.__name__)
def test_normalisation_is_recognised_in_every_order(tmp_path, load_here, form):
    model = _exported(tmp_path / "generator", OwnArithmetic(form), None, channels=4)
    loaded = load_here(tmp_path / "generator")
    assert any("InstanceNormalization" in kind for kind in _kinds(loaded))
    np.testing.assert_allclose(loaded(_photos(None)), model(_photos(None)), atol=2e-5)


@pytest.mark.parametrize("side", [None, 16])
@pytest.mark.parametrize("groups", [8, 4, 2, 1])
def test_group_norm_of_keras_3_is_recognised(tmp_path, load_here, side, groups):
    model = _exported(tmp_path / "generator", layers.GroupNormalization(groups), side)
    loaded = load_here(tmp_path / "generator")
    np.testing.assert_allclose(loaded(_photos(side)), model(_photos(side)), atol=2e-5)


def _after_operations(features):
    mean, variance = ops.mean(features, (1, 2), keepdims=True), ops.var(features, (1, 2), keepdims=True)
    return (features - mean) / ops.sqrt(variance + 1e-5)


def _frozen_batch_norm(features):
    gain, offset = np.linspace(0.5, 2, 8, dtype=np.float32), np.linspace(-1, 1, 8, dtype=np.float32)
    return features * gain + offset


def _scaled_twice(features):
    return ops.relu(features) * 0.5 + 0.25 + features


# Behind what changes the size is what changes it back, since a generator keeps it.
MIDDLES = {
    "up": [layers.UpSampling2D(2), layers.AveragePooling2D(2)],
    "up_by_two_factors": [layers.UpSampling2D((3, 2)), layers.AveragePooling2D((3, 2))],
    "up_bilinear": [layers.UpSampling2D(2, interpolation="bilinear"), layers.MaxPooling2D(2)],
    "up_after_norm": [_after_operations, layers.UpSampling2D(2), layers.MaxPooling2D(2)],
    "operations": [_after_operations],
    "cropped": [layers.Cropping2D(((1, 2), (3, 1))), layers.ZeroPadding2D(((1, 2), (3, 1)))],
    "mirrored": [
        lambda features: ops.pad(features, [[0, 0], [2, 1], [1, 1], [0, 0]], mode="reflect"),
        layers.Cropping2D(((2, 1), (0, 2))),
    ],
    "spectral": [layers.SpectralNormalization(layers.Conv2D(8, 3, padding="same"))],
    "transposed": [layers.Conv2DTranspose(8, 4, strides=2, padding="same"), layers.MaxPooling2D(3, 2, "same")],
    "grouped": [layers.Conv2D(8, 3, groups=4, padding="same")],
    "average": [layers.AveragePooling2D(2), layers.UpSampling2D(2)],
    "frozen": [_frozen_batch_norm],
    "scaled": [_scaled_twice],
    "leaky": [lambda features: ops.maximum(features, features * 0.2)],
}


# Keras itself cannot export a bilinear resizing of a free size.
@pytest.mark.parametrize(
    ("middle", "side"),
    [(name, side) for name in MIDDLES for side in (None, 16) if (name, side) != ("up_bilinear", None)],
)
def test_layer_of_keras_3_is_recognised(tmp_path, load_here, middle, side):
    def apply(features):
        for step in MIDDLES[middle]:
            features = step(features)
        return features

    model = _exported(tmp_path / "generator", apply, side)
    np.testing.assert_allclose(load_here(tmp_path / "generator")(_photos(side)), model(_photos(side)), atol=2e-5)


def test_upsampling_becomes_one_layer_and_a_frozen_norm_none(tmp_path, load_here):
    def middle(features):
        return layers.AveragePooling2D(2)(layers.UpSampling2D(2)(_frozen_batch_norm(features)))

    model = _exported(tmp_path / "generator", middle, None)
    loaded = load_here(tmp_path / "generator")
    assert _kinds(loaded) == ["InputLayer", "Conv2D", "UpSampling2D", "AveragePooling2D", "Conv2D", "Activation"]
    np.testing.assert_allclose(loaded(_photos(None)), model(_photos(None)), atol=1e-5)


def test_convolution_that_two_operations_read_keeps_its_filters(tmp_path, load_here):
    def middle(features):
        return layers.Concatenate()([_frozen_batch_norm(features), features])

    model = _exported(tmp_path / "generator", middle, None)
    np.testing.assert_allclose(load_here(tmp_path / "generator")(_photos(None)), model(_photos(None)), atol=1e-5)


def test_scaling_at_the_ends_tells_the_values_of_pixels(tmp_path, load_here):
    image = keras.Input((None, None, 3))
    inner = layers.Conv2D(3, 3, padding="same", activation="tanh")(layers.Rescaling(1 / 127.5, -1)(image))
    model = keras.Model(image, layers.Rescaling(127.5, 127.5)(inner))
    model.export(tmp_path / "generator", verbose=False)
    told = {one.topic: (one.value, one.basis) for one in read.describe(tmp_path / "generator").conventions}
    assert told["value range in"] == told["value range out"] == ("0..255", "file")
    expected = np.asarray(model((_photos(None) + 1) * 127.5)) / 127.5 - 1
    np.testing.assert_allclose(load_here(tmp_path / "generator")(_photos(None)), expected, atol=1e-5)


def _wrong_mean(images, gain, offset):
    mean, variance = _moments(images)
    return gain * (images - 0.5 * mean) * tf.math.rsqrt(variance + 1e-5) + offset


def _mean_of_rows(images, gain, offset):
    return images - tf.reduce_mean(images, [1], keepdims=True)


def _shuffled(images, gain, offset):
    shape = tf.shape(images)
    return tf.reshape(images, [shape[0], shape[2], shape[1], 8])


@pytest.mark.parametrize("form", [_wrong_mean, _mean_of_rows, _shuffled], ids=lambda form: form.__name__)
def test_arithmetic_that_is_no_normalisation_is_refused(tmp_path, load_here, form):
    image = keras.Input((16, 24, 3))
    features = OwnArithmetic(form)(layers.Conv2D(8, 1)(image))
    model = keras.Model(image, layers.Conv2D(3, 1)(features))
    model.export(tmp_path / "generator", verbose=False)
    with pytest.raises(
        UnusableModel, match=r"computes its image with (Mul|Sub|AddV2|BiasAdd|Reshape|Conv2D|Identity|its)"
    ):
        load_here(tmp_path / "generator")


def test_padding_cannot_be_said_of_a_saved_model(tmp_path, load_here):
    _exported(tmp_path / "generator", layers.ReLU(), None)
    with pytest.raises(UsageError, match="padding = reflect, but the file holds its layers: zero"):
        load_here(tmp_path / "generator", padding="reflect")


def test_classes_cannot_be_said_of_a_saved_model(tmp_path, load_here):
    _exported(tmp_path / "generator", layers.ReLU(), None)
    with pytest.raises(UsageError, match="speaks of Own, which is no class of the file's own, and it has none"):
        load_here(tmp_path / "generator", layer_as=("Own=relu",))
