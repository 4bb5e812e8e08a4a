"""Whole models: Keras 3 files as Keras 3 writes them, and Keras 2 files with models nested in models."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableModel
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    SpaceToDepth,
)


def randomised(model: keras.Model) -> keras.Model:
    """Give every weight a value that its initialiser would not: a swapped pair then shows."""
    random = np.random.default_rng(1)
    model.set_weights([random.uniform(0.2, 0.8, variable.shape).astype(np.float32) for variable in model.weights])
    return model


def functional_generator() -> keras.Model:
    image = keras.Input((16, 12, 3))
    padded = ReflectionPadding2D(((1, 1), (1, 1)))(image)
    stem = InstanceNormalization()(layers.Conv2D(4, 3)(padded))
    down = layers.LeakyReLU(0.2)(layers.Conv2D(8, 4, strides=2, padding="same")(stem))
    context = layers.GlobalAveragePooling2D(keepdims=True)(down)
    gated = layers.Multiply()([down, layers.Conv2D(8, 1, activation="sigmoid")(context)])
    up = layers.Conv2DTranspose(4, 4, strides=2, padding="same")(layers.Add()([gated, down]))
    joined = layers.Concatenate()([stem, ContribInstanceNormalization(per_channel=False)(layers.ReLU()(up))])
    mixed = layers.SeparableConv2D(6, 3, padding="same")(layers.DepthwiseConv2D(3, padding="same")(joined))
    return keras.Model(image, layers.Activation("tanh")(layers.Conv2D(3, 1)(layers.BatchNormalization()(mixed))))


def nested_generator() -> keras.Model:
    entry = keras.Input((None, None, 8))
    inner = layers.Conv2D(8, 3, padding="same")(entry)
    block = keras.Model(entry, layers.Add()([entry, inner]), name="residual")
    down = keras.Sequential(
        [layers.Conv2D(8, 4, 2, padding="same"), layers.BatchNormalization(), layers.LeakyReLU(0.2)]
    )
    up = keras.Sequential([layers.UpSampling2D(interpolation="bilinear"), layers.Conv2D(3, 3, padding="same")])
    image = keras.Input((16, 16, 3))
    return keras.Model(image, up(block(block(down(image)))))


def sequential_generator() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            SpaceToDepth(2),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.Dropout(0.5),
            DepthToSpace(2),
            layers.PReLU(shared_axes=[1, 2]),
        ]
    )


def operations_generator() -> keras.Model:
    image = keras.Input((8, 8, 3))
    padded = keras.ops.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    convolved = keras.ops.leaky_relu(layers.Conv2D(3, 3)(padded), 0.1)
    joined = keras.ops.concatenate([image, convolved], axis=-1)
    return keras.Model(image, keras.ops.tanh(layers.Conv2D(3, 1)(joined) + image))


GENERATORS = [functional_generator, nested_generator, sequential_generator, operations_generator]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_keras_3_file_gives_the_same_output(tmp_path: Path, load_here, make, suffix):
    model = randomised(make())
    path = tmp_path / f"generator{suffix}"
    model.save(path)
    loaded = load_here(path)
    images = np.random.default_rng(2).uniform(-1, 1, (2, 16, 12, 3)).astype(np.float32)
    images = images[:, : model.input_shape[1] or 16, : model.input_shape[2] or 12]
    if model.input_shape[1:3] == (16, 16):
        images = np.concatenate([images, images[:, :, :4]], axis=2)
    assert loaded.input_shape == model.input_shape
    np.testing.assert_allclose(loaded(images, training=False), model(images, training=False), atol=1e-4, rtol=1e-5)


def test_sequential_keras_2_file_is_read_in_order(keras2, tmp_path, load_here, random):
    file = keras2()
    kernels = [random.normal(size=(1, 1, 3, 3)).astype(np.float32) for _ in range(2)]
    for kernel in kernels:
        file.add("Conv2D", {"filters": 3, "kernel_size": [1, 1], "use_bias": False}, weights={"kernel": kernel})
    _, *rest = [{"class_name": layer["class_name"], "config": layer["config"]} for layer in file.layers]
    rest[0]["config"]["batch_input_shape"] = [None, None, None, 3]
    config = {"class_name": "Sequential", "config": {"name": "generator", "layers": rest}}
    images = random.uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    model = load_here(file.save(tmp_path / "generator.h5", config))
    np.testing.assert_allclose(model(images), images @ kernels[0][0, 0] @ kernels[1][0, 0], atol=1e-5)


def test_nested_keras_2_model_counts_its_calls_from_one(keras2, tmp_path, load_here, random):
    inner, kernel = keras2((None, None, 3)), random.normal(size=(1, 1, 3, 3)).astype(np.float32)
    name = inner.add("Conv2D", {"filters": 3, "kernel_size": [1, 1], "use_bias": False})
    outer = keras2()
    nested = {
        "class_name": "Functional",
        "name": "block",
        "inbound_nodes": [[["image", 0, 0, {}]], [["block", 1, 0, {}]]],
    }
    outer.layers.append({**nested, "config": inner.config()["config"]})
    outer.weights["block"] = {}
    config = outer.config()
    config["config"]["output_layers"] = [["block", 2, 0]]
    path = outer.save(tmp_path / "generator.h5", config)
    import h5py

    with h5py.File(path, "a") as opened:
        group = opened["model_weights/block"]
        group.attrs["weight_names"] = [f"{name}/kernel:0".encode()]
        group[f"{name}/kernel:0"] = kernel
    images = random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(load_here(path)(images), images @ kernel[0, 0] @ kernel[0, 0], atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_classifier_is_no_generator(tmp_path, load_here, suffix):
    image = keras.Input((16, 16, 3))
    features = layers.GlobalAveragePooling2D(keepdims=True)(layers.Conv2D(4, 3, strides=2)(image))
    keras.Model(image, features).save(tmp_path / f"classifier{suffix}")
    with pytest.raises(UnusableModel, match="1x1x4 of 16x16x3"):
        load_here(tmp_path / f"classifier{suffix}")


def test_super_resolution_is_no_generator_of_this_kind(tmp_path, load_here):
    image = keras.Input((16, 16, 3))
    keras.Model(image, layers.UpSampling2D()(image)).save(tmp_path / "larger.keras")
    with pytest.raises(UnusableModel, match="32x32x3 of 16x16x3"):
        load_here(tmp_path / "larger.keras")
