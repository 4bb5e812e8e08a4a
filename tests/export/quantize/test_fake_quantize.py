"""int8's rounding in a Keras model against the integers of the file, and what its gradients and ranges do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from compress.images import psnr_db, to_float
from export.calibration import observe
from export.graph import quantized as quantization
from export.graph.lower import lower
from export.graph.operations import Graph, Weighted
from export.interpreter import numpy_float, numpy_int8
from export.parity import synthetic_photos
from export.quantize.fake_quantize import FakeQuantize, FakeQuantizers, layer_name, read_ranges
from export.quantize.trainable import as_keras

SIZE_PX = 32
SIZE = (SIZE_PX, SIZE_PX, 3)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.stack(synthetic_photos((SIZE_PX, SIZE_PX), count=6, seed=0))


@pytest.fixture(scope="module")
def graph(student: keras.Model) -> Graph:
    return lower(student, input_shape=SIZE)


@pytest.fixture(scope="module")
def ranges(graph: Graph, photos: np.ndarray) -> dict[str, quantization.Range]:
    return observe.observe_ranges(graph, photos)


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_rounded_model_does_what_the_integers_do(
    symmetric: bool, graph: Graph, ranges: dict[str, quantization.Range], photos: np.ndarray
) -> None:
    quantized = quantization.quantize_graph(graph, ranges, symmetric=symmetric)
    model = as_keras(graph, FakeQuantizers(graph, ranges, symmetric=symmetric))
    first, last = (quantized.tensors[name] for name in (graph.input, graph.output))
    batch = to_float(photos)
    exact = last.dequantize(numpy_int8.run_int8_graph(quantized, first.quantize(batch)))
    rounded, unrounded = np.asarray(model(batch)), np.asarray(as_keras(graph)(batch))
    # Sums of float32 fall to the other side of a rounding now and then; nothing is off systematically.
    assert psnr_db(rounded - exact) > 43
    assert psnr_db(rounded - exact) > psnr_db(unrounded - exact) + 1
    found = read_ranges(model)
    again = quantization.quantize_graph(graph, found, symmetric=symmetric)
    for name, scale in quantized.tensors.items():
        assert again.tensors[name].scale == pytest.approx(scale.scale, rel=1e-5)
        assert abs(again.tensors[name].zero_point - scale.zero_point) <= symmetric
    points = [scale.zero_point for scale in quantized.tensors.values()]
    # 255 steps around zero leave the middle half a step beside it.
    assert (np.mean(np.isin(points, (0, -1))) > 0.9) == symmetric


def test_training_moves_each_range_towards_what_it_sees(
    graph: Graph, ranges: dict[str, quantization.Range], photos: np.ndarray
) -> None:
    narrow = {name: (0.5 * low, 0.5 * high) for name, (low, high) in ranges.items()}
    moving, resting = (as_keras(graph, FakeQuantizers(graph, narrow, moving=moves)) for moves in (True, False))
    before = read_ranges(moving)
    for _ in range(5):
        moving(to_float(photos), training=True)
        resting(to_float(photos), training=True)
    moving(to_float(photos), training=False)
    assert read_ranges(resting) == before
    # Of the first tensor that is computed alone it is known what was seen: all others follow from rounded ones.
    first = next(operation.output for operation in graph.operations if isinstance(operation, Weighted))
    seen: dict[str, quantization.Range] = {}
    numpy_float.run_graph(
        graph, to_float(photos), lambda name, values: seen.update({name: (values.min(), values.max())})
    )
    momentum = 0.99**5
    for bound in (0, 1):
        expected = momentum * before[first][bound] + (1 - momentum) * seen[first][bound]
        assert read_ranges(moving)[first][bound] == pytest.approx(expected, rel=0.01, abs=0.002)
    assert read_ranges(moving)[graph.output] == before[graph.output] == quantization.IMAGE_RANGE


def test_gradients_pass_the_rounding_and_stop_where_values_are_cut_off() -> None:
    image = keras.Input((2, 2, 3), name="image")
    model = keras.Model(image, layers.Conv2D(3, 1, use_bias=False, name="conv")(image))
    graph = lower(model, input_shape=(2, 2, 3))
    ranges = dict.fromkeys(graph.shapes, (-0.5, 0.5))
    rounded = as_keras(graph, FakeQuantizers(graph, ranges))
    layer = rounded.get_layer(layer_name(graph.output))
    assert isinstance(layer, FakeQuantize)
    values = tf.constant([[[[0.3, -0.2, 0.7]]]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        total = tf.reduce_sum(layer(values))
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(total, values)).numpy().ravel(), [1, 1, 0])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rounded(tf.fill((1, 2, 2, 3), 0.1)))
    kernel = rounded.get_layer(graph.output).kernel
    assert np.abs(tf.convert_to_tensor(tape.gradient(total, kernel.value)).numpy()).min() > 0.1


def test_a_rounded_kernel_is_the_file_s(graph: Graph, ranges: dict[str, quantization.Range]) -> None:
    """Each output channel has 255 steps of its own."""
    quantized = quantization.quantize_graph(graph, ranges)
    for operation in graph.operations:
        if operation.output not in quantized.weights:
            continue
        kernel = quantization.dequantize_kernel(operation, quantized.weights[operation.output])  # pyright: ignore[reportArgumentType]
        steps = quantized.weights[operation.output].scales.max()
        assert np.abs(kernel - operation.kernel).max() <= 0.5001 * steps  # pyright: ignore[reportAttributeAccessIssue]
