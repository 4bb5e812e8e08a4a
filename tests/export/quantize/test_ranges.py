"""Rules for ranges, and the choice between them by what each costs."""

import keras
import numpy as np
import pytest

from compress.images import psnr_db, to_float
from export.graph import quantized as quantization
from export.graph.lower import lower
from export.graph.operations import Graph
from export.interpreter import numpy_int8
from export.parity import synthetic_photos
from export.quantize import ranges
from export.quantize.ranges import RULES, choose_ranges, propose_ranges
from export.quantize.trainable import as_keras

SIZE_PX = 32


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """One of them is far brighter than all others."""
    dim = [(photo // 3 + 80).astype(np.uint8) for photo in synthetic_photos((SIZE_PX, SIZE_PX), count=7, seed=0)]
    return [*dim, np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)]


@pytest.fixture(scope="module")
def graph(student: keras.Model) -> Graph:
    return lower(student, input_shape=(SIZE_PX, SIZE_PX, 3))


def test_each_rule_is_what_it_says(graph: Graph, photos: list[np.ndarray]) -> None:
    observed = propose_ranges(graph, photos)
    assert observed.keys() == graph.shapes.keys()
    values = to_float(np.stack(photos))
    known = observed[graph.input]
    assert set(known) == set(RULES)
    assert known["minmax"] == pytest.approx((values.min(), values.max()))
    assert known["percentile"] == pytest.approx(tuple(np.quantile(values, [1e-4, 1 - 1e-4])), abs=0.05)
    assert known["photos"][1] < known["minmax"][1] == 1.0
    for bounds in observed.values():
        low, high = bounds["minmax"]
        assert low <= bounds["mse"][0] <= bounds["mse"][1] <= high


def test_the_least_squared_error_cuts_a_long_tail_off() -> None:
    values = np.random.default_rng(0).laplace(0, 1, 100_000) * np.array([1.0, 3.0])[np.arange(100_000) % 2]
    values[values < 0] /= 10
    bounds = ranges._by_rule(np.array([[values.min(), values.max()]]), values)

    def error(low: float, high: float) -> float:
        scale = quantization._tensor_scale((low, high))
        return float(np.square(scale.dequantize(scale.quantize(values)) - values).mean())

    tried = [error(low, high) for low in np.linspace(-4, -0.2, 12) for high in np.linspace(4, 40, 40)]
    assert error(*bounds["mse"]) < 1.05 * min(tried)
    assert error(*bounds["mse"]) < 0.9 * error(*bounds["minmax"])


def _file_psnr_db(graph: Graph, chosen: dict[str, quantization.Range], photos: list[np.ndarray]) -> float:
    quantized = quantization.quantize_graph(graph, chosen)
    batch = to_float(np.stack(photos))
    first, last = (quantized.tensors[name] for name in (graph.input, graph.output))
    exact = last.dequantize(numpy_int8.run_int8_graph(quantized, first.quantize(batch)))
    return psnr_db(exact - np.asarray(as_keras(graph)(batch)))


def test_what_is_measured_beats_every_single_rule_where_it_was_measured(graph: Graph, photos: list[np.ndarray]) -> None:
    measured = _file_psnr_db(graph, choose_ranges(graph, photos, "measured"), photos)
    for rule in RULES:
        # The integers round a little otherwise than the model that was measured.
        assert measured > _file_psnr_db(graph, choose_ranges(graph, photos, rule), photos) - 0.2
    assert measured > _file_psnr_db(graph, choose_ranges(graph, photos, "minmax"), photos)


def test_one_photo_is_enough(graph: Graph, photos: list[np.ndarray]) -> None:
    assert choose_ranges(graph, photos[:1], "measured").keys() == graph.shapes.keys()
