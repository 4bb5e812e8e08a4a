"""A graph as a Keras model again: the same pictures, the same graph when it is lowered once more."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from compress.distill import features
from compress.errors import UnsupportedLayer
from compress.models import layers as pocket
from export.graph.lower import lower
from export.graph.operations import Graph, Weighted
from export.quantize.trainable import as_keras, take_weights

SIZE = (32, 32, 3)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, *SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(student: keras.Model) -> Graph:
    return lower(student, input_shape=SIZE)


def test_the_folded_model_makes_the_student_s_pictures_without_batch_norm(
    student: keras.Model, graph: Graph, photos: np.ndarray
) -> None:
    folded = as_keras(graph)
    assert not any(isinstance(layer, layers.BatchNormalization) for layer in folded.layers)
    np.testing.assert_allclose(np.asarray(folded(photos)), np.asarray(student(photos)), atol=1e-5)


def test_a_hint_sees_in_the_folded_model_what_it_saw_in_the_student(
    student: keras.Model, graph: Graph, photos: np.ndarray
) -> None:
    seen = []
    for model in (student, as_keras(graph)):
        taps = features.find_taps(model, SIZE[0], fewest_resolutions=1)
        seen.append(features.expose_features(model, [*taps.encoder.values(), *taps.trunk])(photos))
    for one, other in zip(*seen, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-5)


def test_lowering_the_folded_model_gives_the_graph_again(graph: Graph) -> None:
    again = lower(as_keras(graph), input_shape=SIZE)
    assert [(type(one), one.inputs, one.output, one.shape) for one in again.operations] == [
        (type(one), one.inputs, one.output, one.shape) for one in graph.operations
    ]
    for one, other in zip(again.operations, graph.operations, strict=True):
        if isinstance(one, Weighted) and isinstance(other, Weighted):
            assert one.activation == other.activation
            np.testing.assert_array_equal(one.kernel, other.kernel)
            np.testing.assert_array_equal(one.bias, other.bias)


@pytest.mark.parametrize(
    "chain_of",
    [
        [layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu"), layers.Cropping2D(1)],
        [layers.ZeroPadding2D(1), layers.DepthwiseConv2D(3, depth_multiplier=2), layers.LeakyReLU(0.2)],
        [pocket.ReflectionPadding2D(((1, 2), (0, 1))), layers.Conv2D(4, 3, dilation_rate=2), layers.ReLU(6.0)],
        [layers.AveragePooling2D(3, strides=2, padding="same"), layers.UpSampling2D((2, 3), interpolation="nearest")],
        [layers.MaxPooling2D(2), layers.UpSampling2D(2, interpolation="bilinear"), layers.Activation("sigmoid")],
    ],
    ids=["transposed", "depthwise", "reflected", "pooled", "resized"],
)
def test_every_operation_with_an_int8_kernel_comes_back(
    chain_of: list[keras.layers.Layer], chain: Callable[..., keras.Model]
) -> None:
    model = chain(chain_of, (12, 18, 3))
    photos = np.random.default_rng(1).uniform(-1, 1, (2, 12, 18, 3)).astype(np.float32)
    folded = as_keras(lower(model, input_shape=(12, 18, 3)))
    np.testing.assert_allclose(np.asarray(folded(photos)), np.asarray(model(photos)), atol=1e-5)


def test_trained_weights_return_to_the_graph(graph: Graph, photos: np.ndarray) -> None:
    folded = as_keras(graph)
    for variable in folded.trainable_variables:
        variable.assign(variable * 0.9)
    again = as_keras(take_weights(graph, folded))
    np.testing.assert_array_equal(np.asarray(again(photos)), np.asarray(folded(photos)))


def test_an_operation_without_an_int8_kernel_is_named(chain: Callable[..., keras.Model]) -> None:
    normalised = chain([pocket.InstanceNormalization(name="norm"), layers.Conv2D(3, 1)])
    with pytest.raises(UnsupportedLayer, match=r"norm \(InstanceNorm\) has no int8 kernel"):
        as_keras(lower(normalised, input_shape=(9, 12, 3)))
