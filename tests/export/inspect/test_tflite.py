"""Operators listed, extracted and timed; their fallbacks, and the exit code for CI."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from compress.errors import UnusableModel
from export.delegates.table import DELEGATES, find_delegate
from export.graph.operations import Convolution, Graph, TransposedConvolution
from export.inspect.operators import extract_operator, list_operators
from export.inspect.operators_chart import BARS, make_bars
from export.inspect.tflite import inspect_tflite
from export.tflite.emitter import float_file


@pytest.fixture(scope="session")
def inspect(command):
    return partial(command, "inspect")


def test_each_operator_says_where_it_runs(models: Path) -> None:
    operators = list_operators((models / "mirrored.tflite").read_bytes())
    assert [operator.code for operator in operators] == ["MIRROR_PAD", "CONV_2D"] * 3
    assert [operator.runs_in["xnnpack"] for operator in operators] == [False, True] * 3
    assert {operator.dtype for operator in operators} == {"float32"}
    assert operators[0].shape == (1, 34, 34, 3)
    assert all(operator.runs_in["gpu"] for operator in operators)


def test_fallback_comes_with_its_reason_and_fix(models: Path) -> None:
    (fallback,) = inspect_tflite(models / "mirrored.tflite")["fallbacks"]
    assert (fallback["op"], fallback["count"]) == ("MIRROR_PAD", 3)
    assert "compress export tflite" in fallback["what_to_do"]
    assert inspect_tflite(models / "narrow.tflite")["fallbacks"] == []


@pytest.mark.parametrize("weights", ["fp32", "fp16", "dynamic"])
def test_an_operator_that_is_extracted_computes_what_it_did(weights) -> None:
    content = float_file(_two_convolutions(), weights)
    model = schema.ModelT.InitFromPackedBuf(content)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)
    convolutions = [item.position for item in list_operators(content) if item.code == "CONV_2D"]
    between = image
    for position in convolutions:
        between = _run(extract_operator(model, position), between)
    np.testing.assert_allclose(between, _run(content, image), atol=1e-6)


def _two_convolutions() -> Graph:
    random = np.random.default_rng(0)
    first, second = (
        Convolution(
            inputs=(read,),
            output=written,
            shape=(8, 8, after),
            kernel=random.normal(0, 0.3, (3, 3, before, after)).astype(np.float32),
            bias=random.normal(0, 0.3, after).astype(np.float32),
            padding="same",
        )
        for read, written, before, after in (("image", "middle", 3, 16), ("middle", "end", 16, 3))
    )
    return Graph(input="image", output="end", input_shape=(8, 8, 3), operations=(first, second))


def _run(content: bytes, image: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_the_wide_convolution_takes_most_of_the_time(models: Path) -> None:
    operators = list_operators((models / "wide.tflite").read_bytes(), timed=True)
    latencies = [operator.latency_ms or 0.0 for operator in operators]
    # 384 x 384 channels against 3 x 384, before and behind: 128 times the work, on a machine that may be busy.
    assert latencies[1] > 2 * max(latencies[0], latencies[2]) > 0


def test_unpacking_of_stored_weights_happens_at_load() -> None:
    operators = list_operators(float_file(_two_convolutions(), "fp16"), timed=True)
    assert [(item.code, item.at_load, item.latency_ms is None) for item in operators] == [
        ("DEQUANTIZE", True, True),
        ("CONV_2D", False, False),
    ] * 2


def test_tables_of_the_delegates_know_types_and_versions() -> None:
    gpu, coreml, mediatek = map(find_delegate, ("gpu", "coreml", "npu-mediatek"))
    assert gpu.refusal("MIRROR_PAD", 1, types=["float32"]) is None
    assert gpu.refusal("TRANSPOSE_CONV", 3, types=["int8"]) is None
    assert "up to version 3" in (gpu.refusal("TRANSPOSE_CONV", 4, types=["float32"]) or "")
    assert "no int8" in (coreml.refusal("CONV_2D", 1, types=["int8"]) or "")
    assert coreml.refusal("RESIZE_BILINEAR", 1, types=["float32"]) is None
    assert "up to version 1" in (coreml.refusal("RESIZE_BILINEAR", 3, types=["float32"]) or "")
    assert "do not list DEPTH_TO_SPACE" in (mediatek.refusal("DEPTH_TO_SPACE", 2, types=["int8"]) or "")
    known = {name for name in vars(schema.BuiltinOperator) if name.isupper()}
    for delegate in DELEGATES:
        assert set(delegate.operators) <= known
        assert {"CONV_2D", "ADD", "TRANSPOSE_CONV"} <= set(delegate.operators)
        assert "google-ai-edge/LiteRT at " in delegate.source


def test_planted_newer_version_is_a_fallback_for_the_gpu_alone(inspect, tmp_path: Path) -> None:
    """A transposed convolution with a fused ReLU is of version 4, which the CPU takes and the GPU does not."""
    for activation in ("relu", "none"):
        (tmp_path / f"{activation}.tflite").write_bytes(float_file(_transposed(activation)))
    assert inspect(tmp_path / "relu.tflite", "--fail-on", "fallback").returncode == 0
    failed = inspect(tmp_path / "relu.tflite", "--fail-on", "fallback", "--target", "gpu", "--json")
    assert failed.returncode == 1
    assert "slower kernels on gpu: 1 TRANSPOSE_CONV (float32)" in failed.stderr
    (fallback,) = json.loads(failed.stdout)["fallbacks"]
    assert "up to version 3, and this is version 4" in fallback["why"]
    assert "--target gpu" in fallback["what_to_do"]
    passed = inspect(tmp_path / "none.tflite", "--fail-on", "fallback", "--target", "gpu")
    assert passed.returncode == 0, passed.stderr
    assert "gpu runs every operator by its sources" in passed.stdout


def _transposed(activation: Any) -> Graph:
    upsampled = TransposedConvolution(
        inputs=("image",),
        output="end",
        shape=(16, 16, 3),
        kernel=np.random.default_rng(0).normal(0, 0.3, (2, 2, 3, 3)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        strides=(2, 2),
        activation=activation,
    )
    return Graph(input="image", output="end", input_shape=(8, 8, 3), operations=(upsampled,))


def test_target_asks_for_a_tflite(inspect, small_artifact: Path) -> None:
    refused = inspect(small_artifact, "--target", "gpu")
    assert refused.returncode == 2
    assert "no .tflite" in refused.stderr


def test_command_fails_on_a_fallback_and_only_then(inspect, models: Path) -> None:
    failed = inspect(models / "mirrored.tflite", "--fail-on", "fallback", "--json")
    assert failed.returncode == 1
    assert "3 MIRROR_PAD (float32)" in failed.stderr
    assert json.loads(failed.stdout)["fallbacks"][0]["op"] == "MIRROR_PAD"
    passed = inspect(models / "narrow.tflite", "--fail-on", "fallback", "--time-operators")
    assert passed.returncode == 0, passed.stderr
    assert "XNNPACK runs every operator" in passed.stdout
    assert passed.stdout.splitlines()[-3].split()[:3] == ["3", "CONV_2D", "float32"]


def test_bars_are_the_slowest_operators_and_one_for_the_rest() -> None:
    def operator(position: int, latency_ms: float | None, *, fast: bool = True) -> dict[str, Any]:
        told = {"position": position, "code": "CONV_2D", "dtype": "int8", "shape": [1, 8, 8, 3]}
        return told | {"latency_ms": latency_ms, "runs_in": {"xnnpack": fast}}

    few = [operator(0, 1.0), operator(1, None), operator(2, 3.0, fast=False)]
    assert make_bars(few) == [("2  CONV_2D  8x8x3 int8", 3.0, False), ("0  CONV_2D  8x8x3 int8", 1.0, True)]
    many = [operator(position, 1.0 + position) for position in range(BARS + 2)]
    bars = make_bars(many)
    assert len(bars) == BARS + 1
    assert bars[-1] == ("2 others", 1.0 + 2.0, True)
    assert sum(spent for _, spent, _ in bars) == sum(one["latency_ms"] for one in many)


def test_command_draws_where_the_time_goes(inspect, models: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    drawn = inspect(models / "mirrored.tflite", "--time-operators", "--chart", chart)
    assert drawn.returncode == 0, drawn.stderr
    with Image.open(chart) as image:
        image.load()
        assert image.format == "PNG"
        # The colours of both kinds of bars and white behind them.
        colours = {colour for _, colour in image.convert("RGB").getcolors(image.width * image.height) or []}
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (255, 255, 255)} <= colours
    again = inspect(models / "mirrored.tflite", "--time-operators", "--chart", chart)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    alone = inspect(models / "mirrored.tflite", "--chart", tmp_path / "other.png")
    assert alone.returncode == 2
    assert "--time-operators" in alone.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["chart.png"]


def test_a_torn_file_is_refused(models: Path, tmp_path: Path) -> None:
    whole = (models / "narrow.tflite").read_bytes()
    (tmp_path / "torn.tflite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnusableModel, match=r"torn\.tflite: it is no \.tflite"):
        inspect_tflite(tmp_path / "torn.tflite")


def test_command_names_a_wrong_gate(inspect, models: Path) -> None:
    refused = inspect(models / "narrow.tflite", "--fail-on", "warnings")
    assert refused.returncode == 2
    assert "warnings" in refused.stderr
