"""Scales with which every runtime adds alike: held against the arithmetic of two of them, on every pair of addends."""

from itertools import pairwise

import numpy as np
import pytest

from export.graph.operations import Activate, Add, Graph, Operation
from export.graph.quantized import QuantizedGraph, TensorScale, quantize_graph
from export.graph.sum_scales import LARGEST_MULTIPLE, widen_for_sums
from export.interpreter.numpy_int8 import compute_int8

SHAPE = (256, 256, 1)
ALL = np.arange(-128, 128).astype(np.int8)
FIRST, SECOND = np.broadcast_to(ALL[:, None], (256, 256)), np.broadcast_to(ALL[None, :], (256, 256))


def _chain(length: int) -> Graph:
    """Return `c1 = image + b0`, `c2 = c1 + b1` and so on, as the trunk of a student adds."""
    names = ["image", *(f"c{number + 1}" for number in range(length))]
    operations: list[Operation] = []
    for number, (before, after) in enumerate(pairwise(names)):
        branch = f"b{number}"
        operations.append(Activate(inputs=(before,), output=branch, shape=SHAPE, function="leaky_relu"))
        operations.append(Add(inputs=(before, branch), output=after, shape=SHAPE))
    return Graph(input="image", output=names[-1], input_shape=SHAPE, operations=tuple(operations))


def _widened(graph: Graph, scales: dict[str, float], fixed: set[str] | None = None) -> dict[str, float]:
    factors = widen_for_sums(graph, [{name} for name in scales], scales, fixed or set())
    return {name: scale * factors.get(name, 1.0) for name, scale in scales.items()}


def _in_float32(ratios: list[np.float32], zero_points: list[int]) -> np.ndarray:
    """Add as onnxruntime's kernel does: all zero points in one constant, then two multiplications, in float32."""
    constant = np.float32(zero_points[2]) - (ratios[0] * np.float32(zero_points[0]) + ratios[1] * zero_points[1])
    sums = np.float32(constant) + FIRST.astype(np.float32) * ratios[0] + SECOND.astype(np.float32) * ratios[1]
    return np.clip(np.rint(sums), -128, 127)


def _apart(graph: Graph, scales: dict[str, float], random: np.random.Generator) -> int:
    """Count the pairs of addends that XNNPACK's arithmetic and float32 round apart, over all additions."""
    tensors = {
        name: TensorScale(float(np.float32(scale)), int(random.integers(-90, 90))) for name, scale in scales.items()
    }
    quantized, count = QuantizedGraph(graph, tensors, {}), 0
    for addition in graph.operations:
        if not isinstance(addition, Add):
            continue
        read = [tensors[name] for name in addition.inputs]
        target = tensors[addition.output]
        ratios = [np.float32(one.scale) / np.float32(target.scale) for one in read]
        fixed_point = compute_int8(addition, quantized, FIRST[None, ..., None], SECOND[None, ..., None])[0, ..., 0]
        floating = _in_float32(ratios, [*(one.zero_point for one in read), target.zero_point])
        count += int((fixed_point != floating).sum())
    return count


def test_no_pair_of_addends_is_rounded_apart_and_without_it_some_are() -> None:
    random, before, after = np.random.default_rng(0), 0, 0
    for _ in range(20):
        graph = _chain(3)
        names = ["image", "b0", "c1", "b1", "c2", "b2", "c3"]
        scales = dict(zip(names, np.exp(random.uniform(np.log(0.003), np.log(0.06), 7)).tolist(), strict=True))
        widened = _widened(graph, scales)
        assert widened != scales
        assert all(1.0 <= widened[name] / scales[name] <= 1.02 for name in names)
        before += _apart(graph, scales, random)
        after += _apart(graph, widened, random)
    assert before > 20
    assert after == 0


def test_scales_that_kernels_demand_stay_and_the_others_follow_them() -> None:
    scales = {"image": 1 / 128, "b0": 0.0113, "c1": 0.0171}
    widened = _widened(_chain(1), scales, {"image"})
    assert widened["image"] == 1 / 128
    ratios = np.array([widened["image"], widened["b0"], widened["c1"]])
    bases = ratios[0] / np.arange(1, LARGEST_MULTIPLE + 1)
    multiples = ratios[None] / bases[:, None]
    whole = (np.abs(multiples - np.rint(multiples)) < 1e-6).all(axis=1)
    assert (whole & (np.rint(multiples[:, 2]) % 2 == 1)).any()


def test_addends_too_different_to_fit_keep_their_scales() -> None:
    scales = {"image": 1.0, "b0": 1.0 / 4000, "c1": 1.0}
    assert _widened(_chain(1), scales) == scales


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_quantised_graph_has_such_scales_and_covers_its_ranges(symmetric: bool) -> None:
    graph = _chain(2)
    ranges = {"image": (-1.0, 1.0), "b0": (-0.31, 1.7), "c1": (0.0, 2.4), "b1": (-2.2, 0.4), "c2": (-1.1, 2.9)}
    quantized = quantize_graph(graph, ranges, symmetric=symmetric, alike_sums=True)
    assert _apart(graph, {name: one.scale for name, one in quantized.tensors.items()}, np.random.default_rng(1)) == 0
    for name, (least, greatest) in ranges.items():
        ends = quantized.tensors[name].dequantize(np.array([-128, 127]))
        step = quantized.tensors[name].scale
        if name != "image":
            assert ends[0] <= least + step
            assert ends[1] >= greatest - step
    assert (quantized.tensors["c1"].zero_point == -128) is not symmetric
