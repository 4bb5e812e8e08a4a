"""Pixels that a Keras file scales: what it takes and makes, and what becomes of arithmetic with constants."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableModel
from compress.teachers import read

IMAGENET_MEAN, IMAGENET_VARIANCE = [0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]


@pytest.fixture
def pixels(random) -> np.ndarray:
    """Photos as RGB in [-1, 1]."""
    return random.uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)


def _generator(before: Sequence[layers.Layer], last: str, after: Sequence[layers.Layer] = ()) -> keras.Model:
    keras.utils.set_random_seed(3)
    middle = [layers.Conv2D(4, 3, padding="same", activation="relu"), layers.Conv2D(3, 1, activation=last)]
    return keras.Sequential([keras.Input((None, None, 3)), *before, *middle, *after])


def _told(path: Path) -> dict[str, tuple[str, str]]:
    return {one.topic: (one.value, one.basis) for one in read.describe(path).conventions}


def _in_range(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    return (pixels + 1) / 2 * (high - low) + low


BOUNDS = {"-1..1": (-1, 1), "0..1": (0, 1), "0..255": (0, 255)}


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("before", "last", "after", "taken", "made"),
    [
        ([layers.Rescaling(1 / 127.5, -1)], "tanh", [layers.Rescaling(127.5, 127.5)], "0..255", "0..255"),
        ([layers.Rescaling(1 / 255)], "sigmoid", [], "0..255", "0..1"),
        ([layers.Rescaling(1 / 255)], "sigmoid", [layers.Rescaling(255)], "0..255", "0..255"),
        ([layers.Rescaling(2, -1)], "tanh", [layers.Rescaling(0.5, 0.5)], "0..1", "0..1"),
        ([layers.Rescaling([2, 2, 2], [-1, -1, -1])], "tanh", [], "0..1", "-1..1"),
        ([layers.Rescaling(1 / 255), layers.Rescaling(2, -1)], "tanh", [], "0..255", "-1..1"),
        ([layers.Rescaling(1 / 127.5, -1)], "linear", [layers.Rescaling(127.5, 127.5)], "0..255", "0..255"),
    ],
)
def test_rescaling_tells_the_values_of_pixels(tmp_path, load_here, pixels, suffix, before, last, after, taken, made):
    model = _generator(before, last, after)
    model.save(tmp_path / f"generator{suffix}")
    told = _told(tmp_path / f"generator{suffix}")
    assert told["value range in"] == (taken, "file")
    assert told["value range out"] == (made, "file")
    low, high = BOUNDS[made]
    expected = (np.asarray(model(_in_range(pixels, *BOUNDS[taken]))) - low) / (high - low) * 2 - 1
    np.testing.assert_allclose(load_here(tmp_path / f"generator{suffix}")(pixels), expected, atol=2e-5)


def test_statistics_of_imagenet_are_taken_as_those_of_0_to_1(tmp_path, load_here, pixels):
    model = _generator([layers.Normalization(mean=IMAGENET_MEAN, variance=IMAGENET_VARIANCE)], "sigmoid")
    model.save(tmp_path / "generator.keras")
    assert _told(tmp_path / "generator.keras")["value range in"] == ("0..1", "assumed")
    expected = np.asarray(model(_in_range(pixels, 0, 1))) * 2 - 1
    np.testing.assert_allclose(load_here(tmp_path / "generator.keras")(pixels), expected, atol=1e-5)


def test_learnt_statistics_are_those_of_the_file(tmp_path, load_here, pixels, random):
    normalization = layers.Normalization()
    model = _generator([normalization], "tanh")
    normalization.adapt(random.normal(100, 50, (4, 8, 8, 3)).astype(np.float32))
    model.save(tmp_path / "generator.keras")
    assert _told(tmp_path / "generator.keras")["value range in"] == ("0..255", "assumed")
    expected = np.asarray(model(_in_range(pixels, 0, 255)))
    np.testing.assert_allclose(load_here(tmp_path / "generator.keras", value_range=None)(pixels), expected, atol=1e-4)


def test_scaling_in_the_middle_tells_no_range(tmp_path, load_here, pixels):
    keras.utils.set_random_seed(0)
    scaled = [layers.Conv2D(4, 1), layers.Rescaling([0.5, 1, 2, 3], 0.1), layers.Conv2D(3, 1, activation="tanh")]
    model = keras.Sequential([keras.Input((8, 8, 3)), *scaled])
    model.save(tmp_path / "generator.keras")
    assert _told(tmp_path / "generator.keras")["value range in"] == ("-1..1", "assumed")
    np.testing.assert_allclose(load_here(tmp_path / "generator.keras")(pixels), model(pixels), atol=1e-5)


def _arithmetic_of_operators(image):
    return 1.0 - (image / 2.0 - 0.25) * 3.0


def _arithmetic_of_functions(image):
    return keras.ops.add(keras.ops.multiply(keras.ops.cast(image, "float32"), 0.5), 0.25)


def _difference(image):
    return image - layers.Conv2D(3, 1)(image)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("arithmetic", [_arithmetic_of_operators, _arithmetic_of_functions, _difference])
def test_arithmetic_of_a_keras_3_file_is_computed(tmp_path, load_here, pixels, suffix, arithmetic: Callable):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(arithmetic(image)))
    model.save(tmp_path / f"generator{suffix}")
    np.testing.assert_allclose(load_here(tmp_path / f"generator{suffix}")(pixels), model(pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("math.multiply", {"y": 0.5}, lambda x: x * 0.5),
        ("math.truediv", {"y": 2.0}, lambda x: x / 2),
        ("math.subtract", {"y": [0.1, 0.2, 0.3]}, lambda x: x - np.array([0.1, 0.2, 0.3], np.float32)),
        ("__operators__.add", {"y": 0.5}, lambda x: x + 0.5),
    ],
)
def test_arithmetic_of_a_keras_2_file_is_computed(keras2, tmp_path, load_here, pixels, function, arguments, expected):
    file = keras2()
    file.add("Activation", {"activation": "relu"})
    file.add("TFOpLambda", {"function": function}, arguments=arguments)
    file.add("Activation", {"activation": "tanh"})
    made = load_here(file.save(tmp_path / "generator.h5"))(pixels)
    np.testing.assert_allclose(made, np.tanh(expected(np.maximum(pixels, 0))), atol=1e-6)


def test_constant_before_an_image_is_taken_from_in_keras_2(keras2, tmp_path, load_here, pixels):
    file = keras2()
    file.add("TFOpLambda", {"function": "math.subtract"})
    file.layers[-1]["inbound_nodes"] = [[["_CONSTANT_VALUE", -1, 1.0, {"y": ["image", 0, 0], "name": None}]]]
    file.add("Activation", {"activation": "tanh"})
    np.testing.assert_allclose(load_here(file.save(tmp_path / "g.h5"))(pixels), np.tanh(1 - pixels), atol=1e-6)


def test_scales_of_another_number_of_channels_are_refused(tmp_path, load_here):
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling([1.0, 2.0, 3.0])])
    config = model.get_layer(index=0)
    config.scale = [1.0, 2.0]
    model.save(tmp_path / "generator.keras")
    with pytest.raises(UnusableModel, match="scales 2 channels, but its image has 3"):
        load_here(tmp_path / "generator.keras")
