"""Sensitivity to int8: what it costs to round one tensor, or one operation's weights, alone."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from compress.images import read_image
from export.calibration import observe
from export.graph import quantized as quantization
from export.graph.lower import lower
from export.graph.operations import Weighted
from export.graph.quantized import QuantizedGraph, TensorScale
from export.parity import synthetic_photos
from export.quantize import sensitivity

SIZE_PX = 32


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return synthetic_photos((SIZE_PX, SIZE_PX), count=2, seed=0)


@pytest.fixture(scope="module")
def quantized(student: keras.Model, photos: list[np.ndarray]) -> QuantizedGraph:
    graph = lower(student, input_shape=(SIZE_PX, SIZE_PX, 3))
    return quantization.quantize_graph(graph, observe.observe_ranges(graph, photos))


def test_every_tensor_and_every_kernel_has_its_price(quantized: QuantizedGraph, photos: list[np.ndarray]) -> None:
    costs = sensitivity.measure_sensitivity(quantized, photos)
    operations = quantized.graph.operations
    tensors = {cost.tensor for cost in costs if cost.kind == "tensor"}
    weights = {cost.tensor for cost in costs if cost.kind == "weights"}
    assert tensors == {operation.output for operation in operations}
    assert weights == {operation.output for operation in operations if isinstance(operation, Weighted)}
    assert [cost.psnr_db for cost in costs] == sorted(cost.psnr_db for cost in costs)
    assert all(cost.psnr_db > 20 for cost in costs)


def test_a_tensor_of_too_coarse_steps_comes_first(quantized: QuantizedGraph, photos: list[np.ndarray]) -> None:
    spoilt = quantized.graph.operations[2].output
    tensors = {**quantized.tensors, spoilt: TensorScale(40 * quantized.tensors[spoilt].scale, 0)}
    worst = sensitivity.measure_sensitivity(replace(quantized, tensors=tensors), photos)[0]
    assert (worst.tensor, worst.kind) == (spoilt, "tensor")


def test_a_kernel_of_too_coarse_steps_comes_first(quantized: QuantizedGraph, photos: list[np.ndarray]) -> None:
    spoilt = next(name for name in quantized.weights)
    weights = quantized.weights[spoilt]
    coarse = replace(weights, kernel=(weights.kernel // 100).astype(np.int8), scales=weights.scales * 100)
    worst = sensitivity.measure_sensitivity(replace(quantized, weights={**quantized.weights, spoilt: coarse}), photos)[
        0
    ]
    assert (worst.tensor, worst.kind) == (spoilt, "weights")


def test_the_table_is_json_even_where_nothing_is_lost(quantized: QuantizedGraph, tmp_path: Path) -> None:
    one = sensitivity.RoundingCost(tensor="conv", kind="tensor", psnr_db=40.123)
    sensitivity.write_sensitivity([one, replace(one, psnr_db=float("inf"))], tmp_path)
    rows = json.loads((tmp_path / sensitivity.TABLE).read_text())["sensitivity"]
    assert [row["psnr_db"] for row in rows] == [40.12, None]
    assert read_image(tmp_path / sensitivity.CHART).shape[2] == 3
