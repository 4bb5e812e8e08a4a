"""What runtimes compute otherwise: each rule on a file that it names and on another, run by LiteRT's own kernels."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from benchmarks.runtimes.operators import operator_graphs
from export.config import TfliteConfig
from export.graph.operations import Graph, Resize
from export.graph.quantized import QuantizedGraph, TensorScale, quantize_with_scales
from export.interpreter.numpy_int8 import run_int8_graph
from export.tflite.differences import find_differences
from export.tflite.emitter import float_file, int8_file
from export.tflite.stage import export_tflite

_GRAPHS = dict(operator_graphs())


def _quantized(name: str, **scales: float) -> QuantizedGraph:
    graph = _GRAPHS[name]
    return quantize_with_scales(graph, {tensor: TensorScale(scales.get(tensor, 0.01), 3) for tensor in graph.shapes})


def _ops(content: bytes) -> dict[str, dict[str, Any]]:
    return {each["op"]: each for each in find_differences(content) if each["op"] != "input or output"}


def _own_kernels(content: bytes, image: np.ndarray) -> np.ndarray:
    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).astype(int)


def _furthest(quantized: QuantizedGraph, content: bytes) -> int:
    image = np.random.default_rng(0).integers(-128, 128, (1, *quantized.graph.input_shape)).astype(np.int8)
    return int(np.abs(_own_kernels(content, image) - run_int8_graph(quantized, image)).max())


@pytest.mark.parametrize(
    "name", ["resize bilinear x2", "resize bilinear x3", "resize bilinear x4", "resize bilinear x1.5"]
)
def test_a_resize_is_named_where_own_kernels_drift(name: str) -> None:
    quantized = _quantized(name)
    content = int8_file(quantized, "int8")
    drifts = "RESIZE_BILINEAR" in _ops(content)
    assert drifts == (_furthest(quantized, content) > 1)
    assert drifts == (name in ("resize bilinear x3", "resize bilinear x1.5"))


def test_the_drift_of_a_resize_grows_with_the_picture() -> None:
    found = []
    for side in (64, 512):
        resize = Resize(inputs=("image",), output="made", shape=(3 * side, 3 * side, 4), method="bilinear")
        graph = Graph(input="image", output="made", input_shape=(side, side, 4), operations=(resize,))
        quantized = quantize_with_scales(graph, {name: TensorScale(0.01, 0) for name in graph.shapes})
        found.append(_ops(int8_file(quantized, "int8"))["RESIZE_BILINEAR"]["why"])
    assert "by up to 0.062 pixels" in found[0]
    assert "by up to 0.5 pixels" in found[1]


def test_a_resize_in_float_drifts_nowhere() -> None:
    assert _ops(float_file(_GRAPHS["resize bilinear x3"])) == {}


@pytest.mark.parametrize(("output_scale", "wraps"), [(0.01, False), (0.01 / 64, False), (0.01 / 250, True)])
def test_a_sum_is_named_where_own_kernels_wrap(output_scale: float, wraps: bool) -> None:
    quantized = _quantized("add", made=output_scale)
    content = int8_file(quantized, "int8")
    assert ("ADD" in _ops(content)) == wraps == (_furthest(quantized, content) > 128)


def test_a_mean_is_a_step_off_and_spoils_nothing() -> None:
    (mean,) = find_differences(int8_file(_quantized("mean"), "float"))
    assert (mean["op"], mean["spoils"], mean["count"]) == ("MEAN", False, 1)
    assert "--no-context" in mean["what_to_do"]
    assert find_differences(float_file(_GRAPHS["mean"])) == []


def test_a_relu_that_stands_alone_is_a_step_off() -> None:
    assert _ops(int8_file(_quantized("relu"), "int8"))["QUANTIZE"]["spoils"] is False
    # From float to int8 at a file's ends, all kernels agree.
    assert "QUANTIZE" not in _ops(int8_file(_quantized("tanh", made=1 / 128), "float"))


def test_opencv_is_warned_of_what_it_reads_wrongly() -> None:
    assert "OpenCV" in _ops(float_file(_GRAPHS["convolution 3x3, dilation 2"]))["CONV_2D"]["runtime"]
    assert "OpenCV" in _ops(float_file(_GRAPHS["average pool 3x3"]))["AVERAGE_POOL_2D"]["runtime"]
    assert _ops(float_file(_GRAPHS["convolution 3x3, relu"])) == {}


@pytest.mark.parametrize(("io_type", "runtime"), [("int8", "LiteRT.js 2.5.3"), ("uint8", "LiteRT.js 2.5.3 on WebGPU")])
def test_ends_that_a_browser_refuses_are_named(io_type: Any, runtime: str) -> None:
    (ends,) = find_differences(int8_file(_quantized("crop"), io_type))
    assert (ends["op"], ends["runtime"]) == ("input or output", runtime)


def test_a_second_size_is_named() -> None:
    quantized = _quantized("crop")
    content = int8_file(quantized, "float", others=[quantized])
    assert "usual size alone" in _ops(content)["signature"]["why"]


def test_what_spoils_pictures_comes_first() -> None:
    found = find_differences(int8_file(_quantized("mean"), "int8"))
    assert [each["op"] for each in found] == ["input or output", "MEAN"]


def test_an_export_warns_of_a_resize_that_drifts(
    tmp_path: Path, chain: Any, as_artifact: Any, photo_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import keras

    for factor, warned in ((3, True), (2, False)):
        down = keras.layers.AveragePooling2D(factor)
        up = keras.layers.UpSampling2D(factor, interpolation="bilinear")
        source = as_artifact(chain([down, up], (12, 12, 3)), f"by{factor}")
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            config = TfliteConfig(precision="int8", data=photo_folder)
            export_tflite(source, config, tmp_path / f"out{factor}")
        assert any("drifts by up to" in record.getMessage() for record in caplog.records) == warned
