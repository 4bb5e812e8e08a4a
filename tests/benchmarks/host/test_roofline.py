"""MACs counted in files whose layers are known, and a peak that is computed by hand."""

from typing import get_args
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.host.roofline import Arithmetic, PeakLayer, compare_with_peak, count_macs, find_peaks, peak_layer_file
from export.graph.operations import Convolution, DepthwiseConvolution, Graph, TransposedConvolution
from export.graph.quantized import quantize_graph
from export.tflite.delegation import delegate_coverage
from export.tflite.emitter import float_file, int8_file

CONVOLUTION = 4 * 4 * 3 * 3 * 3 * 8
"""Output positions, kernel, channels in and out."""
DEPTHWISE = 4 * 4 * 5 * 5 * 8
TRANSPOSED = 4 * 4 * 3 * 3 * 8 * 2
"""At the input's positions: each value is multiplied by the whole kernel once."""


@pytest.fixture(scope="module")
def graph() -> Graph:
    random = np.random.default_rng(0)

    def kernel(*shape: int) -> np.ndarray:
        return random.normal(0, 0.1, shape).astype(np.float32)

    first = Convolution(
        inputs=("image",),
        output="a",
        shape=(4, 4, 8),
        kernel=kernel(3, 3, 3, 8),
        bias=np.zeros(8, np.float32),
        strides=(2, 2),
        padding="same",
    )
    second = DepthwiseConvolution(
        inputs=("a",),
        output="b",
        shape=(4, 4, 8),
        kernel=kernel(5, 5, 8, 1),
        bias=np.zeros(8, np.float32),
        padding="same",
    )
    third = TransposedConvolution(
        inputs=("b",),
        output="c",
        shape=(8, 8, 2),
        kernel=kernel(3, 3, 2, 8),
        bias=np.zeros(2, np.float32),
        strides=(2, 2),
        padding="same",
    )
    return Graph(input="image", output="c", input_shape=(8, 8, 3), operations=(first, second, third))


def test_macs_of_a_float_file_are_float(graph: Graph) -> None:
    total = CONVOLUTION + DEPTHWISE + TRANSPOSED
    for weights in ("fp32", "fp16"):
        assert count_macs(float_file(graph, weights)) == {"fp32": total, "int8": 0}


def test_macs_of_an_integer_file_are_int8(graph: Graph) -> None:
    ranges = dict.fromkeys(graph.shapes, (-1.0, 1.0))
    content = int8_file(quantize_graph(graph, ranges), "float")
    assert count_macs(content) == {"fp32": 0, "int8": CONVOLUTION + DEPTHWISE + TRANSPOSED}


def test_only_kernels_that_stay_int8_count_as_int8(graph: Graph) -> None:
    # The exporter unpacks the kernels of the other two at load, see `compress inspect`.
    assert count_macs(float_file(graph, "dynamic")) == {"fp32": DEPTHWISE + TRANSPOSED, "int8": CONVOLUTION}


@pytest.mark.parametrize("arithmetic", get_args(Arithmetic))
def test_a_peak_layer_is_one_operator_in_the_delegate(arithmetic: Arithmetic) -> None:
    content = peak_layer_file(arithmetic, 4, 16)
    coverage = delegate_coverage(content)
    assert (coverage.operators, coverage.complete) == (1, True)
    assert count_macs(content)[arithmetic] == 4 * 4 * 16 * 16


def test_the_peak_is_the_best_rate_of_any_layer_in_any_round() -> None:
    # 1e6, 4e6 and 1e6 MACs.
    shapes: tuple[tuple[Arithmetic, int], ...] = (("fp32", 10), ("fp32", 20), ("int8", 10))
    layers = [
        PeakLayer(arithmetic=arithmetic, image_size_px=size, channels=100, interpreter=Mock())
        for arithmetic, size in shapes
    ]
    assert find_peaks(layers, [[1.0, 1.0, 0.5], [0.5, 2.0, 0.25]]) == {"fp32": 4.0, "int8": 4.0}


def test_a_model_of_both_arithmetics_is_compared_with_both_peaks() -> None:
    # 100 ms at the peak of fp32 and 50 ms at that of int8.
    placed = compare_with_peak({"fp32": 10**9, "int8": 2 * 10**9}, 300.0, {"fp32": 10.0, "int8": 40.0})
    assert placed["gmacs_per_s"] == pytest.approx(10.0)
    assert placed["share_of_peak"] == pytest.approx(0.5)
    assert placed["macs"] == {"fp32": 10**9, "int8": 2 * 10**9}
