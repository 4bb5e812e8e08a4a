"""A written file loads in LiteRT and does what the graph does; the TensorFlow converter is the oracle."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from compress.images import to_uint8
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    SpaceToDepth,
)
from export.calibration import observe
from export.config import IoType
from export.graph.lower import lower
from export.graph.operations import Activate, Affine, Clip, Divide, Graph, Operation, Subtract, Weighted
from export.graph.quantized import quantize_graph
from export.interpreter import numpy_float
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage

SHAPE = (16, 12, 3)
LAYERS = {
    "convolution": lambda: layers.Conv2D(8, 3, padding="same", activation="relu"),
    "strided convolution": lambda: layers.Conv2D(8, 4, strides=2, padding="same", activation="relu6"),
    "dilated convolution": lambda: layers.Conv2D(8, 3, dilation_rate=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same"),
    "depthwise with multiplier": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(8, 3, strides=2, padding="same"),
    "transposed even": lambda: layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
    "transposed valid": lambda: layers.Conv2DTranspose(8, 3, strides=2),
    "instance norm": lambda: InstanceNormalization(),
    "instance norm of keras_contrib": lambda: ContribInstanceNormalization(),
    "instance norm over all channels": lambda: ContribInstanceNormalization(per_channel=False),
    "relu": lambda: layers.ReLU(),
    "relu6": lambda: layers.ReLU(max_value=6),
    "leaky relu": lambda: layers.LeakyReLU(negative_slope=0.2),
    "tanh": lambda: layers.Activation("tanh"),
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


def invoke(content: bytes, images: np.ndarray, *, delegate: bool = True) -> np.ndarray:
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=resolver)
    run = interpreter.get_signature_runner("serving_default")
    return run(image=images)["generated"]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_float_file_equals_keras(chain, images, name: str, delegate: bool):
    model = chain([layers.Conv2D(8, 1), LAYERS[name](), layers.Conv2D(3, 1)], SHAPE)
    content = emitter.float_file(lower(model, input_shape=SHAPE))
    result = invoke(content, images, delegate=delegate)
    np.testing.assert_allclose(result, np.asarray(model(images)), rtol=1e-4, atol=1e-5)


def test_merging_float_file_equals_keras(randomise, images):
    model = randomise(_merging())
    content = emitter.float_file(lower(model, input_shape=SHAPE))
    np.testing.assert_allclose(invoke(content, images), np.asarray(model(images)), rtol=1e-4, atol=1e-5)


def _merging() -> keras.Model:
    image = keras.Input(SHAPE)
    first, second = layers.Conv2D(8, 3, padding="same")(image), layers.Conv2D(8, 1)(image)
    gain = layers.GlobalAveragePooling2D(keepdims=True)(second)
    merged = layers.ReLU()(layers.Add()([first, layers.Multiply()([second, gain])]))
    return keras.Model(image, layers.Concatenate()([merged, first]))


ARITHMETIC = {
    "difference": lambda ends: Subtract(inputs=("image", "other"), **ends),
    "quotient": lambda ends: Divide(inputs=("image", "other"), **ends),
    "gain": lambda ends: Affine(inputs=("image",), gain=-2.5, **ends),
    "offset": lambda ends: Affine(inputs=("image",), offset=0.25, **ends),
    "gain and offset": lambda ends: Affine(inputs=("image",), gain=3.0, offset=-1.0, **ends),
    "gain of one": lambda ends: Affine(inputs=("image",), **ends),
    "bounds": lambda ends: Clip(inputs=("image",), least=-0.5, greatest=0.25, **ends),
    "exponential": lambda ends: Activate(inputs=("image",), function="exp", **ends),
}
EXPECTED = {
    "difference": lambda one, other: one - other,
    "quotient": lambda one, other: one / other,
    "gain": lambda one, _: -2.5 * one,
    "offset": lambda one, _: one + 0.25,
    "gain and offset": lambda one, _: 3 * one - 1,
    "gain of one": lambda one, _: one,
    "bounds": lambda one, _: np.minimum(np.maximum(one, -0.5), 0.25),
    "exponential": lambda one, _: np.exp(one),
}


def _arithmetic(name: str) -> Graph:
    operation: Operation = ARITHMETIC[name]({"output": "generated", "shape": SHAPE})
    others = {"other": SHAPE}
    return Graph(input="image", output="generated", input_shape=SHAPE, operations=(operation,), other_inputs=others)


@pytest.mark.parametrize("delegate", [True, False])
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_two_inputs_is_that_of_its_formula(images, name: str, delegate: bool):
    graph, other = _arithmetic(name), 2 + images[:, ::-1]
    resolver = OpResolverType.AUTO if delegate else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=emitter.float_file(graph), experimental_op_resolver_type=resolver)
    made = interpreter.get_signature_runner()(image=images, other=other)["generated"]
    expected = EXPECTED[name](images, other)
    np.testing.assert_allclose(made, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(numpy_float.run_graph(graph, images, others={"other": other}), expected, rtol=1e-6)
    assert delegate_coverage(emitter.float_file(graph)).complete


def test_bytes_of_every_input_count_by_one_scale(images):
    one, other = (np.arange(start, start + images.size, dtype=np.uint8).reshape(images.shape) for start in (0, 128))
    other[one < other] = 0
    content = emitter.float_file(_arithmetic("difference"), byte_ends=True)
    made = Interpreter(model_content=content).get_signature_runner()(image=one, other=other)["generated"]
    # A difference has no shift left, so that its zero is the byte 128.
    np.testing.assert_array_equal(made, np.clip(one.astype(int) - other + 128, 0, 255))


def test_half_precision_halves_the_file_and_stays_close(student, photos):
    shape = student.input_shape[1:]
    graph = lower(student, input_shape=shape)
    whole, half = emitter.float_file(graph), emitter.float_file(graph, "fp16")
    kernels = sum(operation.kernel.nbytes for operation in graph.operations if isinstance(operation, Weighted))
    assert len(half) < len(whole) - 0.4 * kernels
    images = photos[0][np.newaxis] / np.float32(127.5) - 1
    np.testing.assert_allclose(invoke(half, images), invoke(whole, images), atol=0.01)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite:UserWarning")
def test_file_equals_what_the_tensorflow_converter_writes(randomise, images):
    image = keras.Input(SHAPE, batch_size=1)
    features = ReflectionPadding2D(((1, 1), (1, 1)))(image)
    features = layers.ReLU()(InstanceNormalization()(layers.Conv2D(8, 3)(features)))
    features = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(features)
    features = layers.LeakyReLU()(layers.BatchNormalization()(features))
    features = layers.Cropping2D(((1, 0), (1, 0)))(layers.Conv2DTranspose(6, 3, strides=2)(features))
    model = randomise(keras.Model(image, layers.Activation("tanh")(layers.Conv2D(3, 1)(features))))
    ours, theirs = emitter.float_file(lower(model, input_shape=SHAPE)), _convert_with_tensorflow(model)
    interpreter = Interpreter(model_content=theirs)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(invoke(ours, images), expected, atol=1e-5)
    heavy = {"MIRROR_PAD", "CONV_2D", "TRANSPOSE_CONV", "SQUARED_DIFFERENCE", "RSQRT", "STRIDED_SLICE", "LEAKY_RELU"}
    assert heavy <= _operators(ours)
    assert heavy <= _operators(theirs)


def _convert_with_tensorflow(model: keras.Model) -> bytes:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


def _operators(content: bytes) -> set[str]:
    model = schema.ModelT.InitFromPackedBuf(content)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    return {names[code.builtinCode] for code in model.operatorCodes}


def test_constants_are_aligned_and_stored_once(student):
    graph = lower(student, input_shape=student.input_shape[1:])
    content = emitter.float_file(graph)
    model = schema.Model.GetRootAs(content)
    seen = set()
    for index in range(1, model.BuffersLength()):
        data = model.Buffers(index).DataAsNumpy()
        offset = data.__array_interface__["data"][0] - np.frombuffer(content, np.uint8).__array_interface__["data"][0]
        assert offset % 16 == 0
        assert data.tobytes() not in seen
        seen.add(data.tobytes())


def test_int8_file_is_little_more_than_its_weights(student):
    quantized, content = _int8(student, "int8")
    channels = sum(weights.bias.size for weights in quantized.weights.values())
    kernels = sum(weights.kernel.size for weights in quantized.weights.values())
    operators = len(quantized.graph.operations)
    # Per channel a bias, its scale, the kernel's scale (4 bytes each) and two zero points (8 bytes each); per
    # operator some tables. A real student's channels are counted in hundreds and its weights in 100,000s.
    assert len(content) < kernels + 34 * channels + 700 * operators


@pytest.mark.parametrize(("io_type", "dtype"), [("float", np.float32), ("int8", np.int8), ("uint8", np.uint8)])
def test_int8_file_has_the_ends_that_were_asked_for(student, io_type: IoType, dtype):
    _, content = _int8(student, io_type)
    interpreter = Interpreter(model_content=content)
    for details in (interpreter.get_input_details()[0], interpreter.get_output_details()[0]):
        assert details["dtype"] == dtype
        if io_type == "int8":
            assert details["quantization"] == (1 / 128, 0)
        if io_type == "uint8":
            assert details["quantization"] == (pytest.approx(1 / 127.5), 128)


def test_bytes_in_and_out_are_the_picture_of_the_float_path(student, photos):
    """A byte's own meaning, b / 127.5 - 1, has no integer zero point: what stands in for it must not show."""
    through_float, through_bytes = (
        TfliteGenerator(_int8(student, "float")[1]),
        TfliteGenerator(_int8(student, "uint8")[1]),
    )
    for photo in [*photos, _every_byte(photos[0].shape)]:
        steps = np.abs(through_bytes.run(photo).astype(int) - to_uint8(through_float.translate(photo)))
        assert (steps.max(axis=2) == 0).mean() >= 0.99
        assert steps.max() <= 1


def _every_byte(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)


def test_dynamic_range_file_is_a_quarter_and_stays_close(student, photos):
    graph = lower(student, input_shape=student.input_shape[1:])
    whole, dynamic = emitter.float_file(graph), emitter.float_file(graph, "dynamic")
    kernels = sum(operation.kernel.nbytes for operation in graph.operations if isinstance(operation, Weighted))
    assert len(dynamic) < len(whole) - 0.6 * kernels
    images = photos[0][np.newaxis] / np.float32(127.5) - 1
    np.testing.assert_allclose(invoke(dynamic, images), invoke(whole, images), atol=0.1)


@pytest.mark.parametrize("name", ["convolution", "dilated convolution", "depthwise", "transposed even"])
@pytest.mark.parametrize("delegate", [True, False])
def test_dynamic_range_layer_is_close_to_keras(chain, images, name: str, delegate: bool):
    model = chain([layers.Conv2D(8, 1), LAYERS[name](), layers.Conv2D(3, 1)], SHAPE)
    result = invoke(emitter.float_file(lower(model, input_shape=SHAPE), "dynamic"), images, delegate=delegate)
    expected = np.asarray(model(images))
    # Three roundings of weights and of activations to 1/127 of their largest.
    assert np.abs(result - expected).max() < 0.05 * np.abs(expected).max()


def _int8(student: keras.Model, io_type: IoType):
    graph: Graph = lower(student, input_shape=student.input_shape[1:])
    photos = np.random.default_rng(2).integers(0, 256, (2, *graph.input_shape), dtype=np.uint8)
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    return quantized, emitter.int8_file(quantized, io_type)
