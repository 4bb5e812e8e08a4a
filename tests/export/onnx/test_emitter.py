"""A written file passes `onnx.checker` and does in onnxruntime what the graph does in NumPy, operator by operator."""

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers
from onnx.reference import ReferenceEvaluator

from compress.images import to_float
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    ReplicationPadding2D,
    SpaceToDepth,
)
from compress.models.pocket.config import Family, PocketConfig
from compress.models.pocket_generator import build_student
from export.calibration.observe import calibrate_and_quantize
from export.graph.lower import lower
from export.graph.operations import Add, Graph, Resize
from export.graph.passes import TFLITE, apply_passes
from export.interpreter.numpy_float import run_graph
from export.interpreter.numpy_int8 import run_int8_graph
from export.onnx.emitter import float_file, int8_file
from export.onnx.runner import OnnxGenerator

SHAPE = (16, 12, 3)
LAYERS = {
    "convolution": lambda: layers.Conv2D(8, 3, padding="same", activation="relu"),
    "strided convolution": lambda: layers.Conv2D(8, 4, strides=2, padding="same", activation="relu6"),
    "odd strided convolution": lambda: layers.Conv2D(8, 3, strides=2, padding="same"),
    "dilated convolution": lambda: layers.Conv2D(8, 3, dilation_rate=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, strides=2, padding="same"),
    "depthwise with multiplier": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "transposed": lambda: layers.Conv2DTranspose(8, 3, strides=2, padding="same"),
    "transposed even": lambda: layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
    "transposed valid": lambda: layers.Conv2DTranspose(8, 3, strides=2),
    "transposed with gaps": lambda: layers.Conv2DTranspose(8, 2, strides=3, padding="same"),
    "instance norm": lambda: InstanceNormalization(),
    "instance norm of keras_contrib": lambda: ContribInstanceNormalization(),
    "instance norm over all channels": lambda: ContribInstanceNormalization(per_channel=False),
    "relu6": lambda: layers.ReLU(max_value=6),
    "leaky relu": lambda: layers.LeakyReLU(negative_slope=0.2),
    "tanh": lambda: layers.Activation("tanh"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
    "zero padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "reflection": lambda: ReflectionPadding2D(((3, 1), (0, 2))),
    "replication": lambda: ReplicationPadding2D(((3, 1), (0, 2))),
    "cropping": lambda: layers.Cropping2D(((1, 0), (2, 1))),
    "bilinear": lambda: layers.UpSampling2D((3, 2), interpolation="bilinear"),
    "nearest": lambda: layers.UpSampling2D(2, interpolation="nearest"),
    "global mean": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "average pooling": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "max pooling": lambda: layers.MaxPooling2D(3, strides=2, padding="same"),
    "space to depth": lambda: SpaceToDepth(2),
    "depth to space": lambda: DepthToSpace(2),
}


def run(content: bytes, images: np.ndarray) -> np.ndarray:
    """Run a file on NHWC images in onnxruntime, as floats."""
    return OnnxGenerator(content, "float")._run(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (1, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (4, *SHAPE), dtype=np.uint8))


@pytest.mark.parametrize("opset", [11, 21])
@pytest.mark.parametrize("name", LAYERS)
def test_float_file_equals_the_graph(chain, images, name: str, opset: int):
    graph = lower(chain([layers.Conv2D(8, 1), LAYERS[name](), layers.Conv2D(3, 1)], SHAPE), input_shape=SHAPE)
    content = float_file(graph, opset=opset)
    model = onnx.load_model_from_string(content)
    assert (model.opset_import[0].version, model.ir_version) == {11: (11, 6), 21: (21, 10)}[opset]
    np.testing.assert_allclose(run(content, images), run_graph(graph, images), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("size", [(32, 36), (40, 31), (7, 12)])
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_resizing_takes_any_size(images, method, size: tuple[int, int]):
    resized = Resize(inputs=("image",), output="generated", shape=(*size, 3), method=method)
    graph = Graph(input="image", output="generated", input_shape=SHAPE, operations=(resized,))
    np.testing.assert_allclose(run(float_file(graph, opset=11), images), run_graph(graph, images), atol=1e-5)


@pytest.mark.parametrize("name", [name for name in LAYERS if "norm" not in name and name != "average pooling"])
def test_int8_file_holds_the_integers_of_the_reference(chain, photos, name: str):
    graph = lower(chain([layers.Conv2D(8, 1), LAYERS[name](), layers.Conv2D(3, 1)], SHAPE), input_shape=SHAPE)
    quantized = calibrate_and_quantize(graph, photos)
    last = quantized.tensors[quantized.graph.output]
    images = np.stack([to_float(photo) for photo in photos])[:1]
    exact = run_int8_graph(quantized, quantized.tensors["image"].quantize(images))
    made = last.quantize(run(int8_file(quantized, opset=13), images))
    # One step where a tie is rounded the other way, as XNNPACK's fixed-point kernels do in resizing and alone in ReLUs.
    assert np.abs(made.astype(int) - exact).max() <= 1 + (name in ("bilinear", "relu6", "leaky relu"))
    assert (made == exact).mean() > 0.85


def test_int8_scales_are_those_of_the_tflite(chain, photos):
    model = chain(
        [ReflectionPadding2D(((1, 1), (1, 1))), layers.Conv2D(8, 3, activation="relu"), layers.Conv2D(3, 1)], SHAPE
    )
    graph = lower(model, input_shape=SHAPE)
    ours, theirs = (calibrate_and_quantize(one, photos) for one in (graph, apply_passes(graph, TFLITE)))
    assert ours.tensors.items() <= theirs.tensors.items()
    for name, weights in ours.weights.items():
        np.testing.assert_array_equal(weights.kernel, theirs.weights[name].kernel)
        np.testing.assert_array_equal(weights.bias, theirs.weights[name].bias)
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in _initializers(int8_file(ours, opset=13))}
    for name, tensor in ours.tensors.items():
        assert any(np.array_equal(value, np.float32(tensor.scale)) for value in stored.values()), name
    name = next(iter(ours.weights))
    np.testing.assert_array_equal(stored[f"{name}/kernel_int8"], ours.weights[name].kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(stored[f"{name}/kernel_scales"], ours.weights[name].scales)


def test_mixed_precision_keeps_float_operations_in_float(chain, photos):
    convolutions = [layers.Conv2D(8, 3, padding="same", name=f"c{number}") for number in range(3)]
    graph = lower(chain([*convolutions, layers.Conv2D(3, 1)], SHAPE), input_shape=SHAPE)
    scales = calibrate_and_quantize(graph, photos).tensors
    mixed = calibrate_and_quantize(graph, photos, scales, ("c1",))
    content = int8_file(mixed, opset=13)
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in _initializers(content)}
    assert stored["c1/float/kernel"].dtype == np.float32
    assert stored["c0/kernel_int8"].dtype == np.int8
    images = np.stack([to_float(photo) for photo in photos])[:1]
    exact = run_int8_graph(mixed, mixed.tensors["image"].quantize(images))
    # The standard's meaning: onnxruntime 1.32 rounds a float kernel between two roundings to int8 as well.
    made = OnnxGenerator(content, "float", engine="onnx.reference")._run(images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(mixed.tensors[mixed.graph.output].quantize(made.transpose(0, 2, 3, 1)), exact)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_evaluator_and_runtime_agree(chain, photos, precision: str):
    graph = lower(
        chain([layers.Conv2D(8, 3, strides=2, padding="same"), DepthToSpace(2), layers.Conv2D(3, 1)], SHAPE),
        input_shape=SHAPE,
    )
    content = (
        float_file(graph, opset=11)
        if precision == "fp32"
        else int8_file(calibrate_and_quantize(graph, photos), opset=13)
    )
    runtime, evaluator = (
        OnnxGenerator(content, "float", engine=engine).translate(photos[0])
        for engine in ("onnxruntime", "onnx.reference")
    )
    np.testing.assert_allclose(runtime, evaluator, atol=1e-5)


def test_bytes_in_and_out_are_scaled_by_operators_before_any_padding(chain, photos):
    graph = lower(
        chain([layers.Conv2D(8, 3, padding="same"), layers.Conv2D(3, 1, activation="tanh")], SHAPE), input_shape=SHAPE
    )
    content = float_file(graph, opset=11, io_type="rgb255")
    model = onnx.load_model_from_string(content)
    assert [node.op_type for node in model.graph.node] == ["Mul", "Add", "Conv", "Conv", "Tanh", "Mul", "Add"]
    taken, expected = photos[0].astype(np.float32), run_graph(graph, to_float(photos[0])[np.newaxis])[0]
    outputs: Any = ReferenceEvaluator(model).run(None, {"image": taken.transpose(2, 0, 1)[np.newaxis]})
    np.testing.assert_allclose(outputs[0][0].transpose(1, 2, 0), (expected + 1) * 127.5, atol=2e-3)
    np.testing.assert_allclose(OnnxGenerator(content, "rgb255").translate(photos[0]), expected, atol=1e-5)


def _initializers(content: bytes):
    return onnx.load_model_from_string(content).graph.initializer


def _optimized_operators(content: bytes, folder: Path) -> Counter[str]:
    """Return the operators that onnxruntime makes of a file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


@pytest.mark.parametrize("family", ["unet", "pixel_shuffle"])
def test_a_students_int8_file_is_integers_throughout_and_the_reference_to_the_bit(tmp_path: Path, family: Family):
    keras.utils.set_random_seed(0)
    model = build_student(PocketConfig(family=family, image_size_px=32, width=8, blocks=2))
    graph = lower(model, input_shape=(32, 32, 3))
    photos = list(np.random.default_rng(2).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8))
    quantized = calibrate_and_quantize(graph, photos)
    content = int8_file(quantized, opset=13)
    found = _optimized_operators(content, tmp_path)
    assert found["QLinearConv"] > 5
    assert found["QLinearAdd"] == sum(isinstance(one, Add) for one in graph.operations)
    assert not {"Conv", "Add", "Mul", "GlobalAveragePool"} & set(found)
    generator, first, last = (
        OnnxGenerator(content, "float"), quantized.tensors["image"], quantized.tensors[graph.output],
    )  # fmt: skip
    for photo in photos:
        exact = run_int8_graph(quantized, first.quantize(to_float(photo)[np.newaxis]))[0]
        np.testing.assert_array_equal(last.quantize(generator.translate(photo)), exact)
