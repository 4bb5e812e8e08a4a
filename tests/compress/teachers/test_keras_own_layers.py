"""Layers of a user's own classes, wrapped layers, group norms, equal names, and TensorFlow's pix2pix tutorial."""

import inspect
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableModel, UsageError
from compress.teachers import describe, read
from compress.teachers.reading.layer_as import LAYERS

GAMMA, BETA = np.array([[0.5, 2.0, -1.0], [0.1, 0.2, 0.3]], np.float32)


@pytest.fixture
def images(random) -> np.ndarray:
    return random.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)


def _normalised(images: np.ndarray, epsilon: float) -> np.ndarray:
    mean, variance = images.mean((1, 2), keepdims=True), images.var((1, 2), keepdims=True)
    return (images - mean) / np.sqrt(variance + epsilon) * GAMMA + BETA


def _told(path: Path, **said: Any) -> dict[str, tuple[str, str]]:
    conventions = read.describe(path, read.ReadingConfig(**said)).conventions
    return {one.topic: (one.value, one.basis) for one in conventions}


@pytest.mark.parametrize(
    ("name", "setting"), [("InstNorm", "eps"), ("Custom>InstNorm2d", "epsilon"), ("MyInstanceNorm", "eps")]
)
@pytest.mark.parametrize("names", [("g", "b"), ("scale", "offset"), ("a0", "a1")])
def test_norm_under_another_name_is_taken_and_told(keras2, tmp_path, load_here, images, name, setting, names):
    file = keras2()
    file.add(name, {setting: 1e-3}, weights=dict(zip(names, (GAMMA, BETA), strict=True)))
    path = file.save(tmp_path / "generator.h5")
    np.testing.assert_allclose(load_here(path)(images), _normalised(images, 1e-3), atol=1e-5)
    told = _told(path)[f"layer {name.rpartition('>')[2]}"]
    assert told == ("instance norm, epsilon 0.001", "assumed")


@pytest.mark.parametrize(
    ("config", "amounts"),
    [
        ({"p": 3}, ((3, 3), (3, 3))),
        ({"pad": [1, 2]}, ((1, 1), (2, 2))),
        ({"pads": [[1, 0], [2, 3]]}, ((1, 0), (2, 3))),
        ({"padding": [[0, 0], [1, 1], [2, 2], [0, 0]]}, ((1, 1), (2, 2))),
    ],
)
@pytest.mark.parametrize(
    ("name", "mode"),
    [("ReflectPad", "reflect"), ("MirrorPadding", "reflect"), ("ZeroPad", "constant"), ("EdgePad2D", "edge")],
)
def test_padding_under_another_name_takes_its_amounts(keras2, tmp_path, load_here, images, name, mode, config, amounts):
    file = keras2()
    file.add(name, config)
    (top, bottom), (left, right) = amounts
    file.add("Cropping2D", {"cropping": [[top + bottom, 0], [left + right, 0]]})
    expected = np.pad(images, ((0, 0), *amounts, (0, 0)), mode=mode)[:, top + bottom :, left + right :]
    path = file.save(tmp_path / "generator.h5")
    np.testing.assert_array_equal(load_here(path)(images), expected)
    assert _told(path)[f"layer {name}"][1] == "assumed"


def _file_with(keras2, name: str, config: dict, weights: dict | None = None):
    file = keras2()
    file.add(name, config, weights=weights)
    return file


@pytest.mark.parametrize(
    ("name", "config", "weights", "advice"),
    [
        ("MyNorm", {"eps": 1e-3}, {"a": GAMMA, "b": BETA}, "MyNorm=instance_norm"),
        ("Pad", {"p": 1}, {}, "Pad=reflection_pad"),
        ("ReflectOrZeroPad", {"p": 1}, {}, "ReflectOrZeroPad=reflection_pad"),
        (
            "InstNormAndMore",
            {},
            {"a": GAMMA, "b": BETA, "kernel": np.ones((3, 3, 3, 3), np.float32)},
            "InstNormAndMore=",
        ),
        ("InstNormOfStyles", {}, {"a": GAMMA, "b": BETA, "c": BETA}, "InstNormOfStyles="),
        ("Mystery", {}, {}, "Mystery=identity"),
    ],
)
def test_class_that_may_be_several_things_is_asked_for(keras2, tmp_path, load_here, name, config, weights, advice):
    path = _file_with(keras2, name, config, weights).save(tmp_path / "generator.h5")
    with pytest.raises(UnusableModel, match=f"--layer-as {advice}.*instance_norm, batch_norm, reflection_pad"):
        load_here(path)


def test_what_the_user_says_of_a_class_is_done_and_told(keras2, tmp_path, load_here, images):
    file = _file_with(keras2, "MyNorm", {"eps": 1e-2}, {"a": GAMMA, "b": BETA})
    file.add("Squash")
    path = file.save(tmp_path / "generator.h5")
    said = ("MyNorm=instance_norm", "Squash=tanh")
    np.testing.assert_allclose(load_here(path, layer_as=said)(images), np.tanh(_normalised(images, 1e-2)), atol=1e-5)
    told = _told(path, layer_as=said)
    assert told["layer MyNorm"] == ("instance norm, epsilon 0.01", "set")
    assert told["value range out"] == ("-1..1", "file")


@pytest.mark.parametrize(
    ("layer", "config", "expected"),
    [
        ("identity", {}, lambda x: x),
        ("leaky_relu", {"alpha": 0.1}, lambda x: np.where(x < 0, 0.1 * x, x)),
        ("relu", {}, lambda x: np.maximum(x, 0)),
        ("silu", {}, lambda x: x / (1 + np.exp(-x))),
        ("sigmoid", {}, lambda x: 1 / (1 + np.exp(-x))),
    ],
)
def test_class_can_be_said_to_be_each_layer(keras2, tmp_path, load_here, images, layer, config, expected):
    file = _file_with(keras2, "Own", config)
    file.add("Activation", {"activation": "tanh"})
    model = load_here(file.save(tmp_path / "generator.h5"), layer_as=(f"Own={layer}",))
    np.testing.assert_allclose(model(images), np.tanh(expected(images)), atol=1e-5)


@pytest.mark.parametrize("said", ["Own", "=relu", "Own=", "Own=conv", "relu"])
def test_what_cannot_be_said_of_a_class_is_a_usage_error(keras2, tmp_path, load_here, said):
    path = _file_with(keras2, "Own", {}).save(tmp_path / "generator.h5")
    with pytest.raises(
        UsageError, match=f"layer_as = {said}, expected CLASS=LAYER with one of the layers instance_norm"
    ):
        load_here(path, layer_as=(said,))


def test_two_sayings_of_one_class_are_a_usage_error(keras2, tmp_path, load_here):
    path = _file_with(keras2, "Own", {}).save(tmp_path / "generator.h5")
    with pytest.raises(UsageError, match="Own is relu and that it is tanh"):
        load_here(path, layer_as=("Own=relu", "Own=tanh"))


def test_class_that_the_file_has_not_is_a_usage_error_with_its_exit_code(keras2, tmp_path):
    file = _file_with(keras2, "Own", {})
    file.add("ReLU")
    path = file.save(tmp_path / "generator.h5")
    with pytest.raises(UsageError, match="speaks of Other, which is no class of the file's own; those are Own"):
        describe(path, reading=read.ReadingConfig(layer_as=("Own=relu", "Other=tanh")))
    with pytest.raises(UsageError, match="speaks of ReLU"):
        read.describe(path, read.ReadingConfig(layer_as=("ReLU=tanh",)))


def test_padding_that_a_name_tells_can_be_said_otherwise(keras2, tmp_path, load_here, images):
    file = _file_with(keras2, "ReflectPad", {"p": 1})
    file.add("Cropping2D", {"cropping": [[2, 0], [2, 0]]})
    path = file.save(tmp_path / "generator.h5")
    expected = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")[:, 2:, 2:]
    np.testing.assert_array_equal(load_here(path, padding="replicate")(images), expected)
    assert _told(path, padding="replicate")["layer ReflectPad"][1] == "set"


def test_padding_that_the_file_tells_cannot_be_said_otherwise(small_generator, tmp_path, load_here):
    with pytest.raises(UsageError, match="padding = reflect, but the file holds its layers: zero"):
        load_here(small_generator.save(tmp_path / "generator.h5"), padding="reflect")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("transposed", [False, True])
def test_spectral_norm_is_the_layer_that_it_wraps(tmp_path, load_here, images, suffix, transposed):
    kind = layers.Conv2DTranspose if transposed else layers.Conv2D
    wrapped = layers.SpectralNormalization(kind(4, 3, padding="same", activation="relu"))
    model = keras.Sequential([keras.Input((8, 8, 3)), wrapped, layers.Conv2D(3, 1, activation="tanh")])
    for _ in range(3):
        model(images, training=True)
    model.save(tmp_path / f"generator{suffix}")
    np.testing.assert_allclose(load_here(tmp_path / f"generator{suffix}")(images), model(images), atol=1e-5)


def test_weight_norm_of_tensorflow_addons_is_folded(keras2, tmp_path, load_here, images, random):
    kernel = random.normal(size=(3, 3, 3, 3)).astype(np.float32)
    inner = {"class_name": "Conv2D", "config": {"filters": 3, "kernel_size": [3, 3], "padding": "same"}}
    file = keras2()
    weights = {"g": GAMMA, "kernel": kernel, "bias": BETA, "initialized": np.array(1.0, np.float32)}
    file.add("Addons>WeightNormalization", {"layer": inner, "data_init": True}, weights=weights)
    folded = kernel / np.sqrt((kernel**2).sum((0, 1, 2))) * GAMMA
    expected = keras.ops.conv(images, folded, padding="same") + BETA
    np.testing.assert_allclose(load_here(file.save(tmp_path / "generator.h5"))(images), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(("channels", "groups"), [(8, 8), (8, 4), (8, 2), (12, 4), (16, 1), (12, 1), (6, -1)])
def test_group_norm_of_any_groups_equals_keras(tmp_path, load_here, images, suffix, channels, groups, random):
    norm = layers.GroupNormalization(groups, epsilon=1e-2)
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(channels, 3), norm, layers.Conv2DTranspose(3, 3)])
    norm.set_weights([random.normal(size=channels).astype(np.float32) for _ in range(2)])
    model.save(tmp_path / f"generator{suffix}")
    np.testing.assert_allclose(load_here(tmp_path / f"generator{suffix}")(images), model(images), atol=2e-4)


def test_group_norm_of_an_odd_size_is_refused_by_name(tmp_path, load_here):
    norm = layers.GroupNormalization(2, name="odd")
    keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(14, 1), norm, layers.Conv2D(3, 1)]).save(
        tmp_path / "g.keras"
    )
    with pytest.raises(UnusableModel, match="odd normalises groups of 7 channels"):
        load_here(tmp_path / "g.keras")


def _stage(name: str, kind: type[layers.Layer], filters: int) -> keras.Sequential:
    named = [kind(filters, 3, strides=2, padding="same", name="conv"), layers.BatchNormalization(name="bn")]
    return keras.Sequential([*named, layers.ReLU(name="act")], name=name)


def _nested(depth: int) -> keras.Model:
    image, features = keras.Input((16, 16, 3)), keras.Input((None, None, 4 * depth))
    down = image
    for number in range(depth):
        down = _stage(f"down{number}", layers.Conv2D, 4 * (number + 1))(down)
    encoder = keras.Model(image, down, name="encoder")
    up = features
    for number in range(depth):
        up = _stage(f"up{number}", layers.Conv2DTranspose, 5)(up)
    decoder = keras.Model(features, layers.Conv2D(3, 1, name="conv")(up), name="decoder")
    entry = keras.Input((16, 16, 3))
    return keras.Model(entry, decoder(encoder(entry)), name="generator")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_layers_of_one_name_in_several_models_keep_their_weights(tmp_path, load_here, random, suffix, depth):
    model = _nested(depth)
    model.set_weights([random.uniform(0.2, 0.8, value.shape).astype(np.float32) for value in model.weights])
    model.save(tmp_path / f"generator{suffix}")
    images = random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    made = load_here(tmp_path / f"generator{suffix}")(images)
    np.testing.assert_allclose(made, model(images), atol=1e-4, rtol=1e-5)


def _tutorial(depth: int, *, dropout: bool) -> keras.Model:
    """The generator of TensorFlow's pix2pix tutorial, but for its depth and width."""
    image = keras.Input((16, 16, 3))
    downs, features = [], image
    for number in range(depth):
        features = layers.Conv2D(4, 4, strides=2, padding="same", use_bias=False)(features)
        features = layers.LeakyReLU()(layers.BatchNormalization()(features) if number else features)
        downs.append(features)
    for skip in reversed(downs[:-1]):
        features = layers.BatchNormalization()(layers.Conv2DTranspose(4, 4, strides=2, padding="same")(features))
        features = layers.ReLU()(layers.Dropout(0.5)(features) if dropout else features)
        features = layers.Concatenate()([features, skip])
    return keras.Model(image, layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(features))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("depth", [2, 3])
def test_net_of_the_pix2pix_tutorial_leaves_its_statistics_open(tmp_path, load_here, random, suffix, depth):
    model = _tutorial(depth, dropout=True)
    model.save(tmp_path / f"generator{suffix}")
    with pytest.raises(UnusableModel, match="--batch-norm-statistics image or moving"):
        load_here(tmp_path / f"generator{suffix}")
    image = random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    made = load_here(tmp_path / f"generator{suffix}", batch_norm_statistics="moving")(image)
    np.testing.assert_allclose(made, model(image, training=False), atol=1e-5)
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    made = load_here(tmp_path / f"generator{suffix}", batch_norm_statistics="image")(image)
    assert norms
    np.testing.assert_allclose(made, model(image, training=True), atol=1e-4)


def test_other_nets_with_batch_norm_use_the_statistics_of_the_file(tmp_path, load_here, random):
    model = _tutorial(2, dropout=False)
    model.save(tmp_path / "generator.keras")
    image = random.uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(load_here(tmp_path / "generator.keras")(image), model(image, training=False), atol=1e-5)


def test_one_net_has_no_key_and_groups_are_told(tmp_path, load_here):
    norms = [layers.Conv2D(8, 1), layers.GroupNormalization(2), layers.Conv2D(3, 1)]
    keras.Sequential([keras.Input((8, 8, 3)), *norms]).save(tmp_path / "generator.keras")
    assert _told(tmp_path / "generator.keras")["norm"] == ("group", "file")
    with pytest.raises(UsageError, match="weights_key = G_A, but the file holds one net"):
        load_here(tmp_path / "generator.keras", weights_key="G_A")


def test_help_names_every_layer_that_a_class_can_be():
    held = inspect.getsource(read.ReadingConfig).partition("CLASS=LAYER")[2].partition("may be repeated")[0]
    assert re.findall(r"[a-z_]{3,}(?=[,;])", held) == list(LAYERS)
