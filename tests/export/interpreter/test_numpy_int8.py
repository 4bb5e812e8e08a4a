"""The integer reference is what XNNPACK computes: at most one step apart on 99.9 % of values, and mostly equal."""

from collections.abc import Collection

import keras
import numpy as np
import pytest
from keras import layers

from compress.images import psnr_db, to_float
from compress.models.layers import DepthToSpace, ReflectionPadding2D, SpaceToDepth
from export import parity
from export.calibration import observe
from export.graph.lower import lower
from export.graph.operations import Graph, Mean
from export.graph.quantized import QuantizedGraph, TensorScale, quantize_graph, quantize_with_scales
from export.interpreter import numpy_float, numpy_int8
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter

SIZE = (16, 12)
LAYERS = {
    "convolution": lambda: layers.Conv2D(8, 3, padding="same", activation="relu"),
    "strided convolution": lambda: layers.Conv2D(8, 4, strides=2, padding="same"),
    "relu6 convolution": lambda: layers.Conv2D(8, 3, activation="relu6"),
    "dilated convolution": lambda: layers.Conv2D(8, 3, dilation_rate=2, padding="same"),
    "depthwise": lambda: layers.DepthwiseConv2D(5, strides=2, padding="same"),
    "depthwise with multiplier": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "lone batch norm": lambda: layers.BatchNormalization(),
    "transposed": lambda: layers.Conv2DTranspose(8, 3, strides=2, padding="same"),
    "transposed even": lambda: layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
    "transposed valid": lambda: layers.Conv2DTranspose(8, 3, strides=2),
    "leaky relu": lambda: layers.LeakyReLU(negative_slope=0.2),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "zero padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "reflection": lambda: ReflectionPadding2D(((3, 1), (0, 2))),
    "cropping": lambda: layers.Cropping2D(((1, 0), (2, 1))),
    "bilinear": lambda: layers.UpSampling2D((3, 2), interpolation="bilinear"),
    "nearest": lambda: layers.UpSampling2D(2, interpolation="nearest"),
    "global mean": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "average pooling": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "max pooling": lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
    "space to depth": lambda: SpaceToDepth(2),
    "depth to space": lambda: DepthToSpace(2),
}
NOT_DELEGATED = {"reflection", "nearest", "average pooling"}


def assert_exact(model: keras.Model, photos: list[np.ndarray], float_ops: Collection[int] = ()) -> float:
    """Compare file and reference, of which some operations are in float, by place; return PSNR against float."""
    graph = lower(model, input_shape=model.input_shape[1:])
    names = [graph.operations[place].output for place in float_ops]
    scales = quantize_graph(graph, observe.observe_ranges(graph, photos)).tensors
    quantized = quantize_with_scales(graph, scales, names)
    generator = TfliteGenerator(emitter.int8_file(quantized, "int8"))
    images = np.stack([to_float(photo) for photo in photos])
    exact = numpy_int8.run_int8_graph(quantized, quantized.tensors[graph.input].quantize(images))
    steps = np.abs(np.stack([generator.run(photo) for photo in photos]).astype(int) - exact)
    assert (steps <= 1).mean() >= 0.999
    assert (steps == 0).mean() >= 0.99
    return psnr_db(quantized.tensors[graph.output].dequantize(exact) - numpy_float.run_graph(graph, images))


@pytest.fixture(scope="module")
def small_photos() -> list[np.ndarray]:
    return parity.synthetic_photos(SIZE, count=6, seed=4)


@pytest.mark.parametrize("name", LAYERS)
def test_layer_equals_the_runtime(chain, small_photos, name: str):
    layer_row = [layers.Conv2D(8, 3, padding="same"), LAYERS[name](), layers.Conv2D(3, 1), layers.Activation("tanh")]
    assert assert_exact(chain(layer_row, (*SIZE, 3)), small_photos) > 40


@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_float_equals_the_runtime(chain, small_photos, name: str):
    """All but tanh is in float: a layer that averages int8 values, alone in float, would write exact halves of a step,
    which the runtime and the reference round either way; `float_ops.choose_float_ops` never leaves one alone.
    """
    layer_row = [layers.Conv2D(8, 3, padding="same"), LAYERS[name](), layers.Conv2D(3, 1), layers.Activation("tanh")]
    model = chain(layer_row, (*SIZE, 3))
    but_tanh = range(len(lower(model, input_shape=(*SIZE, 3)).operations) - 1)
    assert assert_exact(model, small_photos, float_ops=but_tanh) > 40


def test_relu_behind_a_resize_equals_the_runtime(chain, small_photos):
    up = layers.UpSampling2D(2, interpolation="bilinear")
    row = [layers.Conv2D(8, 3), up, layers.ReLU(), layers.Conv2D(3, 1), layers.Activation("tanh")]
    assert assert_exact(chain(row, (*SIZE, 3)), small_photos) > 40


def test_merges_equal_the_runtime(randomise, small_photos):
    image = keras.Input((*SIZE, 3))
    first, second = layers.Conv2D(8, 3, padding="same")(image), layers.Conv2D(8, 1)(image)
    gain = layers.GlobalAveragePooling2D(keepdims=True)(second)
    merged = layers.ReLU()(layers.Add()([first, layers.Multiply()([second, gain])]))
    joined = layers.Concatenate()([layers.ReLU(max_value=6)(layers.Add()([merged, second])), first])
    model = randomise(keras.Model(image, layers.Activation("tanh")(layers.Conv2D(3, 1)(joined))))
    assert assert_exact(model, small_photos) > 35


def test_student_equals_the_runtime(student, photos):
    assert assert_exact(student, photos) > 30


def test_a_mean_next_to_a_half_is_rounded_as_the_runtime_rounds_it() -> None:
    """Scales of a trained student, on which XNNPACK (LiteRT 2.3.0) made -38 of a centred sum of 1287: 62.50001 steps
    above the zero point, which are 62.5 in float32 where both zero points are added last.
    """
    tensors = {
        "image": TensorScale(scale=0.028216149657964706, zero_point=-62),
        "mean": TensorScale(scale=0.00403490848839283, zero_point=-100),
    }
    mean = Mean(output="mean", inputs=("image",), shape=(1, 1, 1))
    graph = Graph(input="image", input_shape=(12, 12, 1), output="mean", operations=(mean,))
    features = np.full(144, -62)
    features[:11] += 117
    assert (features + 62).sum() == 1287
    quantized = QuantizedGraph(graph=graph, tensors=tensors, weights={})
    made = numpy_int8.compute_int8(mean, quantized, features.reshape(1, 12, 12, 1).astype(np.int8))
    assert made.item() == -38
