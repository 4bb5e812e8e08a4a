"""The choice of float operators, against every other choice where there are few."""

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from compress.errors import UsageError
from compress.images import psnr_db, to_float
from export.calibration import observe
from export.graph import quantized
from export.graph.lower import lower
from export.graph.operations import Activate, Add, Convolution, DepthToSpace, Graph, Operation, Shape
from export.interpreter import numpy_float, numpy_int8
from export.parity import synthetic_photos
from export.quantize import sensitivity
from export.quantize.float_ops import check_float_ops, choose_float_ops
from export.quantize.sensitivity import RoundingCost
from export.tflite import emitter

SIZE_PX = 32
SHAPE = (4, 4, 3)


def _convolution(source: str, output: str, shape: Shape = SHAPE) -> Operation:
    kernel = np.zeros((1, 1, 3, shape[2]), np.float32)
    return Convolution(inputs=(source,), output=output, shape=shape, kernel=kernel, bias=kernel[0, 0, 0])


@pytest.fixture(scope="module")
def graph() -> Graph:
    """A residual sum, a pixel shuffle and tanh: image -> a -> b, c = a + b, d = conv(c), shuffled, tanh."""
    operations = (
        _convolution("image", "a"),
        _convolution("a", "b"),
        Add(inputs=("a", "b"), output="c", shape=SHAPE),
        _convolution("c", "d", (4, 4, 12)),
        DepthToSpace(inputs=("d",), output="e", shape=(8, 8, 3), block_size=2),
        Activate(inputs=("e",), output="generated", shape=(8, 8, 3), function="tanh"),
    )
    return Graph(input="image", output="generated", input_shape=SHAPE, operations=operations)


def _costs(graph: Graph, **psnr_db: float) -> list[RoundingCost]:
    """Nothing costs anything but what is named: a tensor, or `a_weights`."""
    rows = [RoundingCost(tensor=operation.output, kind="tensor", psnr_db=math.inf) for operation in graph.operations]
    rows += [RoundingCost(tensor=name, kind="weights", psnr_db=math.inf) for name in "abd"]
    named = [(row.tensor if row.kind == "tensor" else f"{row.tensor}_weights") for row in rows]
    return [replace(row, psnr_db=psnr_db.get(name, math.inf)) for row, name in zip(rows, named, strict=True)]


@pytest.mark.parametrize(
    ("psnr_db", "count", "float_ops"),
    [
        ({"b_weights": 30}, 1, ("b",)),
        ({"b_weights": 30, "d_weights": 29}, 1, ("d",)),
        # A tensor is saved with all that write and read it, or not at all.
        ({"a": 20, "b_weights": 50}, 2, ("b",)),
        ({"a": 20, "b_weights": 50}, 3, ("a", "b", "c")),
        ({"c": 20, "b_weights": 30}, 2, ("c", "d")),
        # What is moved on the way is one rounding, of the convolution's sums.
        ({"d": 20, "e": 20, "b_weights": 30}, 3, ("d", "e", "generated")),
        ({"d": 20, "e": 20, "b_weights": 30}, 2, ("b",)),
        # The cheap start is not followed where a more expensive set fits instead.
        ({"d": 20, "a_weights": 24}, 3, ("d", "e", "generated")),
        ({"d": 20, "a_weights": 24}, 4, ("a", "d", "e", "generated")),
        # The picture is int8, and so is the photo.
        ({"generated": 20}, 6, ()),
        ({}, 6, ()),
    ],
)
def test_operators_that_take_most_error_off_compute_in_float(
    graph: Graph, psnr_db: dict[str, float], count: int, float_ops: tuple[str, ...]
) -> None:
    assert choose_float_ops(graph, _costs(graph, **psnr_db), count) == float_ops


@pytest.mark.parametrize(
    ("psnr_db", "max_growth_bytes", "float_ops"),
    [
        # Kernels b and d have 9 and 36 weights, of 3 bytes more each.
        ({"b_weights": 30, "d_weights": 29}, 1024 + 108, ("d",)),
        ({"b_weights": 30, "d_weights": 29}, 1024 + 107, ("b",)),
        ({"b_weights": 30, "d_weights": 29}, 1024, ()),
        ({"b_weights": 30, "d_weights": 29}, 2048 + 27 + 108, ("b", "d")),
        # What has no kernel costs its conversions.
        ({"d": 20, "e": 20, "b_weights": 30}, 3 * 1024 + 107, ("b",)),
    ],
)
def test_a_file_grows_by_no_more_than_it_may(
    graph: Graph, psnr_db: dict[str, float], max_growth_bytes: int, float_ops: tuple[str, ...]
) -> None:
    costs = _costs(graph, **psnr_db)
    assert choose_float_ops(graph, costs, 6, max_growth_bytes=max_growth_bytes) == float_ops


def test_a_float_operator_grows_the_file_by_no_more_than_is_reckoned(small_student) -> None:
    photos = synthetic_photos((SIZE_PX, SIZE_PX), count=2, seed=0)
    graph = lower(small_student, input_shape=(SIZE_PX, SIZE_PX, 3))
    whole = quantized.quantize_graph(graph, observe.observe_ranges(graph, photos))
    costs = sensitivity.measure_sensitivity(whole, photos)
    before = len(emitter.int8_file(whole, "float"))
    for growth in (3000, 6000, 20000):
        chosen = choose_float_ops(graph, costs, 8, max_growth_bytes=growth)
        after = len(emitter.int8_file(quantized.quantize_with_scales(graph, whole.tensors, chosen), "float"))
        assert chosen
        assert after - before <= growth


def test_the_choice_is_among_the_best(small_student) -> None:
    """Two operators of a student, against pairs drawn at random, each tried in integers."""
    photos = synthetic_photos((SIZE_PX, SIZE_PX), count=2, seed=0)
    graph = lower(small_student, input_shape=(SIZE_PX, SIZE_PX, 3))
    whole = quantized.quantize_graph(graph, observe.observe_ranges(graph, photos))
    batch = to_float(np.stack(photos))
    expected = numpy_float.run_graph(graph, batch)

    def mixed_psnr_db(names: tuple[str, ...]) -> float:
        mixed = quantized.quantize_with_scales(graph, whole.tensors, names)
        made = numpy_int8.run_int8_graph(mixed, whole.tensors[graph.input].quantize(batch))
        return psnr_db(whole.tensors[graph.output].dequantize(made) - expected)

    chosen = choose_float_ops(graph, sensitivity.measure_sensitivity(whole, photos), 2)
    pairs = list(combinations([operation.output for operation in graph.operations], 2))
    drawn = np.random.default_rng(0).permutation(len(pairs))[:40]
    others = [mixed_psnr_db(pairs[index]) for index in drawn]
    assert len(chosen) == 2
    assert mixed_psnr_db(chosen) > mixed_psnr_db(()) + 0.3
    assert np.mean([mixed_psnr_db(chosen) >= other for other in others]) > 0.95


def test_more_than_there_are_is_refused_with_the_count(graph: Graph) -> None:
    check_float_ops(6, graph)
    with pytest.raises(UsageError, match="float_ops = 7, but the student has 6 operators"):
        check_float_ops(7, graph)
