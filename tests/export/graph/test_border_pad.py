"""Mirrored and repeated borders written as slices and concatenations: the same pixels, and XNNPACK takes all of it."""

import numpy as np
import pytest
from keras import layers

from compress.models.layers import ReflectionPadding2D, ReplicationPadding2D
from export.calibration import observe
from export.graph.border_pad import expand_border_pads
from export.graph.lower import lower
from export.graph.operations import Graph, Pad
from export.graph.quantized import quantize_graph
from export.interpreter import numpy_float
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage

MARGINS = [((3, 3), (3, 3)), ((1, 0), (0, 2)), ((0, 0), (1, 1)), ((7, 6), (0, 0)), ((2, 2), (5, 0))]


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge")])
def test_borders_are_numpys(margins, mode, numpy_mode) -> None:
    image = np.random.default_rng(0).uniform(-1, 1, (1, 9, 8, 3)).astype(np.float32)
    expected = np.pad(image, ((0, 0), *margins, (0, 0)), mode=numpy_mode)
    pad = Pad(inputs=("image",), output="padded", shape=expected.shape[1:], margins=margins, mode=mode)
    graph = expand_border_pads(Graph(input="image", output="padded", input_shape=(9, 8, 3), operations=(pad,)))
    assert not any(isinstance(operation, Pad) for operation in graph.operations)
    np.testing.assert_array_equal(numpy_float.run_graph(graph, image), expected)
    assert graph.shapes["padded"] == expected.shape[1:]


@pytest.fixture(params=[ReflectionPadding2D, ReplicationPadding2D])
def padded(chain, request) -> Graph:
    row = [layers.Conv2D(8, 3), request.param(((3, 3), (3, 3))), layers.Conv2D(3, 7), layers.Activation("tanh")]
    return lower(chain(row, (32, 32, 3)), input_shape=(32, 32, 3))


@pytest.mark.parametrize("weights", ["fp32", "fp16", "dynamic"])
def test_float_file_is_one_partition(padded, weights) -> None:
    assert delegate_coverage(emitter.float_file(expand_border_pads(padded), weights)).complete


def test_int8_file_is_one_partition_with_one_scale_for_all_parts(padded, photos) -> None:
    graph = expand_border_pads(padded)
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    assert delegate_coverage(emitter.int8_file(quantized, "int8")).complete
    parts = [name for name in graph.shapes if "/height" in name or "/width" in name]
    assert len(parts) > 8
    assert len({quantized.tensors[name] for name in parts}) == 1


def test_a_mirrored_border_as_one_operator_would_not_be_one_partition(chain) -> None:
    row = [layers.Conv2D(8, 3), ReflectionPadding2D(((3, 3), (3, 3))), layers.Conv2D(3, 7), layers.Activation("tanh")]
    whole = lower(chain(row, (32, 32, 3)), input_shape=(32, 32, 3))
    assert not delegate_coverage(emitter.float_file(whole, "fp32")).complete


def test_what_reflects_nothing_stays(small_student) -> None:
    graph = lower(small_student, input_shape=(32, 32, 3))
    assert expand_border_pads(graph).operations == graph.operations
