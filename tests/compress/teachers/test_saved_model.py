"""SavedModel directories: the graph is translated, not run."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from compress import teachers
from compress.errors import UnusableModel
from compress.models.layers import InstanceNormalization, ReflectionPadding2D
from compress.teachers.build import build_generator


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, keras.Model]:
    """A small U-Net with normalisations, which are many operations in a graph, and a global context."""
    image = keras.Input((16, 16, 3))
    stem = layers.Conv2D(4, 3)(ReflectionPadding2D(((1, 1), (1, 1)))(image))
    down = layers.LeakyReLU(0.2)(layers.Conv2D(6, 4, strides=2, padding="same")(layers.ZeroPadding2D(0)(stem)))
    deep = layers.BatchNormalization(epsilon=1e-2)(layers.DepthwiseConv2D(3, padding="same")(down))
    context = layers.Conv2D(6, 1)(layers.GlobalAveragePooling2D(keepdims=True)(deep))
    gated = layers.Multiply()([InstanceNormalization()(deep), context])
    up = layers.Conv2DTranspose(4, 4, strides=2, padding="same")(layers.Add()([down, gated]))
    joined = layers.Concatenate()([stem, layers.Activation("relu")(up)])
    model = keras.Model(image, layers.Conv2D(3, 1, activation="tanh")(joined))
    random = np.random.default_rng(4)
    model.set_weights([random.uniform(0.2, 0.8, variable.shape).astype(np.float32) for variable in model.weights])
    path = tmp_path_factory.mktemp("saved") / "generator"
    model.export(path, verbose=False)
    return path, model


def test_exported_model_gives_the_same_output(exported):
    path, model = exported
    images = np.random.default_rng(8).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    loaded = build_generator(teachers.describe(path))
    assert loaded.input_shape == (None, 16, 16, 3)
    np.testing.assert_allclose(loaded(images, training=False), model(images, training=False), atol=1e-4)


class TutorialNorm(tf.keras.layers.Layer):
    """Instance normalisation as the TensorFlow CycleGAN tutorial and tensorflow_addons compute it."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form = form

    def build(self, shape) -> None:
        self.gain = self.add_weight(name="scale", shape=(shape[-1],), initializer="random_normal")
        self.offset = self.add_weight(name="offset", shape=(shape[-1],), initializer="random_normal")

    def call(self, images):
        mean, variance = tf.nn.moments(images, axes=[1, 2], keepdims=True)
        if self.form == "addons":
            return tf.nn.batch_normalization(images, mean, variance, self.offset, self.gain, 1e-3)
        return self.gain * ((images - mean) * tf.math.rsqrt(variance + 1e-5)) + self.offset


@pytest.mark.parametrize("form", ["tutorial", "addons"])
def test_normalisation_written_as_arithmetic_is_recognised(tmp_path, load_here, form):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, TutorialNorm(form)(image))
    model.export(tmp_path / "generator", verbose=False)
    loaded = load_here(tmp_path / "generator")
    images = np.random.default_rng(9).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)
    assert "InstanceNormalization" in [type(layer).__name__ for layer in loaded.layers]
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-5)


@pytest.mark.parametrize(
    ("torn", "words"),
    [
        ("saved_model.pb", r"saved_model\.pb is truncated or damaged"),
        ("variables/variables.index", "variables/ is missing, truncated or damaged"),
    ],
)
def test_torn_saved_model_is_refused(exported, tmp_path, load_here, torn, words):
    copy = tmp_path / "generator"
    shutil.copytree(exported[0], copy)
    content = (copy / torn).read_bytes()
    (copy / torn).write_bytes(content[: len(content) // 2])
    with pytest.raises(UnusableModel, match=words):
        load_here(copy)


def test_folder_that_is_no_saved_model_is_refused(tmp_path, load_here):
    with pytest.raises(UnusableModel, match=r"no saved_model\.pb"):
        load_here(tmp_path)
