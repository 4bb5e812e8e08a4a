"""Each variety of layer in a Keras 2 file, against NumPy or the layer of Keras 3 that it must become."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress.errors import UnusableModel

SIDE = 8


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path, images: np.ndarray, load_here: Callable[..., keras.Model]) -> Callable[..., np.ndarray]:
    """Load a file and translate the images with it."""

    def load_and_run(file: Any) -> np.ndarray:
        model = load_here(file.save(tmp_path / "generator.h5"))
        return np.asarray(model(images, training=False))

    return load_and_run


def reflect(images: np.ndarray, amounts: Any) -> np.ndarray:
    return np.pad(images, ((0, 0), *amounts, (0, 0)), mode="reflect")


def moments(images: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return images.mean(axes, keepdims=True), images.var(axes, keepdims=True)


@pytest.mark.parametrize(
    ("class_name", "config", "amounts"),
    [
        ("ReflectionPadding2D", {"padding": [1, 2]}, ((1, 1), (2, 2))),
        ("Custom>ReflectionPadding2D", {"padding": 2}, ((2, 2), (2, 2))),
        ("ReflectPad2D", {"pad": [[0, 1], [2, 3]]}, ((0, 1), (2, 3))),
        ("ReflectionPad2d", {"padding": [[0, 0], [3, 3], [1, 1], [0, 0]]}, ((3, 3), (1, 1))),
    ],
)
def test_reflection_padding_is_known_under_any_users_name(keras2, run, images, class_name, config, amounts):
    file = keras2()
    file.add(class_name, config)
    (top, bottom), (left, right) = amounts
    file.add("Cropping2D", {"cropping": [[top + bottom, 0], [left + right, 0]]})
    expected = reflect(images, amounts)[:, top + bottom :, left + right :]
    np.testing.assert_array_equal(run(file), expected)


def test_reflection_padding_without_amounts_gets_them_from_the_convolution_behind_it(keras2, run, images, random):
    file = keras2()
    kernel = random.normal(size=(5, 3, 3, 3)).astype(np.float32)
    file.add("ReflectionPadding2D")
    file.add("Conv2D", {"filters": 3, "kernel_size": [5, 3], "use_bias": False}, weights={"kernel": kernel})
    expected = keras.ops.conv(reflect(images, ((2, 2), (1, 1))), kernel, padding="valid")
    np.testing.assert_allclose(run(file), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("class_name", "config", "epsilon"),
    [
        ("InstanceNormalization", {}, 1e-5),
        ("InstanceNormalization", {"epsilon": 0.1}, 0.1),
        ("MyInstanceNorm", {"eps": 0.1}, 0.1),
        ("Addons>InstanceNormalization", {"groups": -1, "axis": -1}, 1e-3),
        ("Addons>GroupNormalization", {"groups": -1, "axis": -1, "epsilon": 1e-3}, 1e-3),
        ("GroupNormalization", {"groups": 3, "epsilon": 1e-2}, 1e-2),
    ],
)
@pytest.mark.parametrize("names", [("gamma", "beta"), ("scale", "offset")])
def test_instance_normalisation_of_any_origin_uses_each_images_own_statistics(
    keras2, run, images, class_name, config, epsilon, names
):
    gamma, beta = np.array([[0.5, 2.0, -1.0], [0.1, 0.2, 0.3]], np.float32)
    file = keras2()
    file.add(class_name, config, weights=dict(zip(names, (gamma, beta), strict=True)))
    mean, variance = moments(images, (1, 2))
    np.testing.assert_allclose(run(file), (images - mean) / np.sqrt(variance + epsilon) * gamma + beta, atol=1e-5)


@pytest.mark.parametrize(("axis", "axes", "channels"), [(-1, (1, 2), 3), (3, (1, 2), 3), (None, (1, 2, 3), 1)])
def test_keras_contrib_normalisation_adds_epsilon_to_the_deviation(keras2, run, images, axis, axes, channels):
    gamma, beta = np.full(channels, 1.5, np.float32), np.full(channels, 0.25, np.float32)
    saved = dict.fromkeys(("gamma_regularizer", "gamma_constraint", "beta_regularizer", "beta_constraint"))
    file = keras2()
    file.add(
        "InstanceNormalization",
        {"axis": axis, "epsilon": 0.1, "center": True, "scale": True, **saved},
        weights={"gamma": gamma, "beta": beta},
    )
    mean, variance = moments(images, axes)
    np.testing.assert_allclose(run(file), (images - mean) / (np.sqrt(variance) + 0.1) * gamma + beta, atol=1e-5)


def batch_norm_weights(random: np.random.Generator) -> dict[str, np.ndarray]:
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    return {role: random.uniform(0.5, 1.5, 3).astype(np.float32) for role in roles}


def test_batch_normalisation_uses_moving_statistics(keras2, run, images, random):
    weights = batch_norm_weights(random)
    file = keras2()
    file.add("BatchNormalization", {"axis": [3], "epsilon": 1e-3}, weights=weights)
    scaled = (images - weights["moving_mean"]) / np.sqrt(weights["moving_variance"] + 1e-3)
    np.testing.assert_allclose(run(file), scaled * weights["gamma"] + weights["beta"], atol=1e-5)


def test_batch_normalisation_called_with_training_true_uses_the_images_own_statistics(keras2, run, images, random):
    weights = batch_norm_weights(random)
    file = keras2()
    file.add("BatchNormalization", {"axis": [3], "epsilon": 1e-3}, weights=weights, arguments={"training": True})
    mean, variance = moments(images, (1, 2))
    expected = (images - mean) / np.sqrt(variance + 1e-3) * weights["gamma"] + weights["beta"]
    np.testing.assert_allclose(run(file), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("ReLU", {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, lambda x: np.maximum(x, 0)),
        ("ReLU", {"max_value": 0.5, "negative_slope": 0.1}, lambda x: np.where(x < 0, 0.1 * x, np.minimum(x, 0.5))),
        ("LeakyReLU", {"alpha": 0.2}, lambda x: np.where(x < 0, 0.2 * x, x)),
        ("LeakyReLU", {"negative_slope": 0.1}, lambda x: np.where(x < 0, 0.1 * x, x)),
        ("LeakyReLU", {}, lambda x: np.where(x < 0, 0.3 * x, x)),
        ("Activation", {"activation": "leaky_relu"}, lambda x: np.where(x < 0, 0.2 * x, x)),
        ("Activation", {"activation": "tanh"}, np.tanh),
        ("Dropout", {"rate": 0.5}, lambda x: x),
        ("GaussianNoise", {"stddev": 0.5}, lambda x: x),
        ("ZeroPadding2D", {"padding": [[1, 0], [0, 0]]}, lambda x: np.pad(x, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :-1]),
    ],
)
def test_simple_layer_does_what_it_did_in_keras_2(keras2, run, images, class_name, config, expected):
    file = keras2()
    file.add(class_name, config)
    if class_name == "ZeroPadding2D":
        file.add("Cropping2D", {"cropping": [[0, 1], [0, 0]]})
    np.testing.assert_allclose(run(file), expected(images), atol=1e-6)


# Keras 2 wrote this into every convolution; Keras 3 stumbles over `groups` of transposed and depthwise ones.
KERAS2_NOISE = {"data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1, "kernel_constraint": None}


@pytest.mark.parametrize(
    ("class_name", "config", "shapes"),
    [
        ("Conv2D", {"filters": 3, "kernel_size": [3, 3], "padding": "same"}, {"kernel": (3, 3, 3, 3)}),
        (
            "Conv2D",
            {"filters": 3, "kernel_size": [3, 3], "dilation_rate": [2, 2], "padding": "same"},
            {"kernel": (3, 3, 3, 3)},
        ),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": [3, 3], "padding": "same"}, {"kernel": (3, 3, 3, 3)}),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "padding": "same"}, {"depthwise_kernel": (3, 3, 3, 1)}),
        (
            "SeparableConv2D",
            {"filters": 3, "kernel_size": [3, 3], "padding": "same"},
            {"depthwise_kernel": (3, 3, 3, 1), "pointwise_kernel": (1, 1, 3, 3)},
        ),
    ],
)
def test_convolution_with_fused_activation_equals_keras_3(keras2, run, images, random, class_name, config, shapes):
    weights = {role: random.normal(size=shape).astype(np.float32) for role, shape in shapes.items()}
    weights["bias"] = random.normal(size=3).astype(np.float32)
    file = keras2()
    file.add(class_name, {**KERAS2_NOISE, **config, "activation": "tanh"}, weights=weights)
    layer = getattr(keras.layers, class_name)(**config, activation="tanh")
    layer.build(images.shape)
    layer.set_weights(list(weights.values()))
    np.testing.assert_allclose(run(file), layer(images), atol=1e-5)


@pytest.mark.parametrize("up", ["transposed", "nearest", "bilinear"])
def test_u_net_with_concatenated_skip_equals_keras_3(keras2, run, images, random, up):
    down = {"filters": 4, "kernel_size": [4, 4], "strides": [2, 2], "padding": "same", "use_bias": False}
    last = {"filters": 3, "kernel_size": [4, 4], "padding": "same", "use_bias": False}
    kernels = [random.normal(size=shape).astype(np.float32) for shape in ((4, 4, 3, 4), (4, 4, 3, 4), (4, 4, 6, 3))]
    file = keras2()
    file.add("Conv2D", down, weights={"kernel": kernels[0]})
    if up == "transposed":
        transposed = {**down, "filters": 3}
        file.add("Conv2DTranspose", transposed, weights={"kernel": kernels[1]})
        last_kernel = kernels[2]
    else:
        file.add("UpSampling2D", {"size": [2, 2], "interpolation": up})
        last_kernel = random.normal(size=(4, 4, 7, 3)).astype(np.float32)
    file.add("Concatenate", {"axis": 3}, inputs=("image", file.last))
    file.add("Conv2D", last, weights={"kernel": last_kernel})

    features = keras.ops.conv(images, kernels[0], strides=2, padding="same")
    if up == "transposed":
        features = keras.ops.conv_transpose(features, kernels[1], strides=2, padding="same")
    else:
        features = keras.layers.UpSampling2D(2, interpolation=up)(features)
    joined = keras.ops.concatenate([images, features], axis=-1)
    np.testing.assert_allclose(run(file), keras.ops.conv(joined, last_kernel, padding="same"), atol=1e-4)


def functional(function: str, **arguments: Any) -> tuple[str, dict, dict]:
    return "TFOpLambda", {"function": function}, arguments


@pytest.mark.parametrize("function", ["pad", "compat.v1.pad"])
def test_functional_pad_mirrors_or_fills_with_zeros(keras2, run, images, function):
    file = keras2()
    for mode, amounts in (("REFLECT", [2, 1]), ("CONSTANT", [1, 0])):
        class_name, config, arguments = functional(
            function, paddings=[[0, 0], amounts, amounts, [0, 0]], mode=mode, constant_values=0
        )
        file.add(class_name, config, arguments=arguments)
    file.add("Cropping2D", {"cropping": [[0, 4], [0, 4]]})
    mirrored = reflect(images, ((2, 1), (2, 1)))
    np.testing.assert_array_equal(run(file), np.pad(mirrored, ((0, 0), (1, 0), (1, 0), (0, 0)))[:, :-4, :-4])


def test_functional_arithmetic_equals_numpy(keras2, run, images):
    file = keras2()
    file.add("TFOpLambda", {"function": "nn.relu"})
    relu = file.last
    file.add(
        "TFOpLambda", {"function": "__operators__.add"}, inputs=(relu,), arguments={"y": ["image", 0, 0], "name": None}
    )
    file.add("TFOpLambda", {"function": "nn.leaky_relu"}, arguments={"alpha": 0.1})
    file.add("TFOpLambda", {"function": "math.tanh"})
    summed = np.maximum(images, 0) + images
    np.testing.assert_allclose(run(file), np.tanh(np.where(summed < 0, 0.1 * summed, summed)), atol=1e-6)


@pytest.mark.parametrize(
    ("class_name", "config", "arguments", "words"),
    [
        (
            "TFOpLambda",
            {"function": "pad"},
            {"paddings": [[0, 0], [1, 1], [1, 1], [0, 0]], "mode": "SYMMETRIC"},
            "SYMMETRIC",
        ),
        ("TFOpLambda", {"function": "__operators__.add"}, {"y": "half"}, "scales by half"),
        ("TFOpLambda", {"function": "__operators__.add"}, {}, "no constant"),
        ("TFOpLambda", {"function": "math.erf"}, {}, "erf"),
        ("ResnetBlock", {}, {}, "ResnetBlock"),
        ("Activation", {"activation": "softmax"}, {}, "softmax"),
        ("Conv2D", {"filters": 3, "kernel_size": [1, 1], "data_format": "channels_first"}, {}, "channels first"),
        ("Concatenate", {"axis": 1}, {}, "axis 1"),
        ("Addons>GroupNormalization", {"groups": 2}, {}, "2 groups"),
        ("Addons>GroupNormalization", {"groups": 7}, {}, "7 groups"),
    ],
)
def test_what_no_generator_has_is_refused_by_name(keras2, tmp_path, load_here, class_name, config, arguments, words):
    file = keras2()
    name = file.add(class_name, config, arguments=arguments)
    with pytest.raises(UnusableModel, match=words) as caught:
        load_here(file.save(tmp_path / "generator.h5"))
    assert name in str(caught.value)


def test_layer_called_twice_is_applied_twice(keras2, run, images):
    file = keras2()
    file.add("LeakyReLU", {"alpha": 0.5})
    file.layers[-1]["inbound_nodes"].append([[file.last, 0, 0, {}]])
    config = file.config()
    config["config"]["output_layers"] = [[file.last, 1, 0]]
    file.config = lambda: config
    np.testing.assert_allclose(run(file), np.where(images < 0, 0.25 * images, images), atol=1e-6)
