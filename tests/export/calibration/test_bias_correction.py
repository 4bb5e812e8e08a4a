"""Bias correction: biases take back what int8 moves on average."""

from collections.abc import Sequence

import keras
import numpy as np
import pytest
from keras import layers

from compress.images import to_float
from export.calibration import observe
from export.calibration.bias_correction import PHOTOS, correct_biases
from export.graph.lower import lower
from export.graph.operations import Graph, Weighted
from export.graph.quantized import QuantizedGraph, quantize_graph, quantize_like
from export.interpreter import numpy_float, numpy_int8

SIDE = 16


@pytest.fixture
def photos() -> list[np.ndarray]:
    """Bright ones, so that what weights lose by rounding does not average out."""
    random = np.random.default_rng(3)
    return [random.integers(100, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(4)]


@pytest.fixture
def model(chain) -> keras.Model:
    """Three kinds of convolution, with ReLUs and a large weight in each channel that makes the others coarse."""
    kinds = [
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same", activation="relu"),
        layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(3, 3, padding="same"),
    ]
    net = chain(kinds, (None, None, 3))
    random = np.random.default_rng(0)
    for layer in net.layers:
        layer.set_weights([random.normal(0, 0.02, weight.shape) for weight in layer.get_weights()])
        for weight in layer.get_weights()[:1]:
            weight[0, 0] += 1.0
            layer.set_weights([weight, *layer.get_weights()[1:]])
    return net


def _graph(model: keras.Model, side: int = SIDE) -> Graph:
    return lower(model, input_shape=(side, side, 3))


def _mean_errors(quantized: QuantizedGraph, graph: Graph, photos: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean error of each channel of the picture."""
    pictures = np.stack([to_float(photo) for photo in photos])
    integers = numpy_int8.run_int8_graph(quantized, quantized.tensors[graph.input].quantize(pictures))
    made = quantized.tensors[graph.output].dequantize(integers)
    return np.abs((made - numpy_float.run_graph(graph, pictures)).mean(axis=(0, 1, 2)))


def test_what_is_off_on_average_becomes_a_fraction_of_it(model: keras.Model, photos: list[np.ndarray]) -> None:
    graph = _graph(model)
    plain = quantize_graph(graph, observe.observe_ranges(graph, photos))
    corrected = correct_biases(plain, photos)
    before, after = (_mean_errors(each, graph, photos) for each in (plain, corrected))
    assert after.max() < before.max() / 4
    assert corrected.tensors == plain.tensors
    for name, weights in plain.weights.items():
        np.testing.assert_array_equal(corrected.weights[name].kernel, weights.kernel)


def test_export_calibrates_with_it_and_leaves_scales_that_were_chosen_alone(
    model: keras.Model, photos: list[np.ndarray]
) -> None:
    graph = _graph(model)
    calibrated = observe.calibrate_and_quantize(graph, photos)
    expected = correct_biases(quantize_graph(graph, observe.observe_ranges(graph, photos)), photos)
    requantized = observe.calibrate_and_quantize(graph, photos, calibrated.tensors)
    for name, weights in expected.weights.items():
        np.testing.assert_array_equal(calibrated.weights[name].bias, weights.bias)
    unmoved = {one.output: one.bias for one in graph.operations if isinstance(one, Weighted)}
    biases = {one.output: one.bias for one in requantized.graph.operations if isinstance(one, Weighted)}
    assert all(np.array_equal(biases[name], bias) for name, bias in unmoved.items())


def test_the_same_biases_hold_at_another_size(model: keras.Model, photos: list[np.ndarray]) -> None:
    corrected = observe.calibrate_and_quantize(_graph(model), photos)
    larger = quantize_like(_graph(model, 2 * SIDE), corrected)
    assert larger.graph.shapes[larger.graph.output] == (4 * SIDE, 4 * SIDE, 3)
    for name, weights in corrected.weights.items():
        np.testing.assert_array_equal(larger.weights[name].bias, weights.bias)


def test_no_more_photos_are_watched_than_fit(model: keras.Model, photos: list[np.ndarray]) -> None:
    graph = _graph(model)
    plain = quantize_graph(graph, observe.observe_ranges(graph, photos))
    many = [photos[place % 2] for place in range(PHOTOS)]
    first, more = correct_biases(plain, many), correct_biases(plain, [*many, *photos[2:]])
    for name, weights in first.weights.items():
        np.testing.assert_array_equal(more.weights[name].bias, weights.bias)
