"""A student is one XNNPACK partition, all of it delegated; operators that are not delegated are named."""

from typing import get_args

import pytest
from keras import layers

from compress.models import pocket_generator
from compress.models.layers import InstanceNormalization, ReflectionPadding2D
from compress.models.pocket_generator import Family, PocketConfig
from export.calibration import observe
from export.graph.lower import lower
from export.graph.quantized import quantize_graph
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage


@pytest.mark.parametrize("io_type", ["int8", "float", "uint8"])
def test_int8_student_is_one_partition(student, photos, io_type):
    graph = lower(student, input_shape=student.input_shape[1:])
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    coverage = delegate_coverage(emitter.int8_file(quantized, io_type))
    assert coverage.complete
    assert coverage.operators >= len(graph.operations)


@pytest.mark.parametrize("family", get_args(Family))
def test_branches_that_have_learned_nothing_are_delegated(photos, family):
    untrained = pocket_generator.build_student(PocketConfig(family=family, image_size_px=32, width=16, blocks=2))
    graph = lower(untrained, input_shape=(32, 32, 3))
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    assert delegate_coverage(emitter.int8_file(quantized, "int8")).complete


@pytest.mark.parametrize("weights", ["fp32", "fp16", "dynamic"])
def test_float_student_is_one_partition(student, weights):
    graph = lower(student, input_shape=student.input_shape[1:])
    assert delegate_coverage(emitter.float_file(graph, weights)).complete


def test_dynamic_range_delegates_transposed_convolutions(chain):
    row = [layers.Conv2D(8, 3, strides=2), layers.Conv2DTranspose(4, 3, strides=2), layers.DepthwiseConv2D(3)]
    graph = lower(chain(row), input_shape=(9, 12, 3))
    assert delegate_coverage(emitter.float_file(graph, "dynamic")).complete


def test_reflection_padding_of_a_teacher_is_not_delegated(chain):
    row = [layers.Conv2D(8, 3), ReflectionPadding2D(((1, 1), (1, 1))), layers.Conv2D(3, 3), InstanceNormalization()]
    coverage = delegate_coverage(emitter.float_file(lower(chain(row), input_shape=(9, 12, 3))))
    assert coverage.undelegated == ("MIRROR_PAD",)
    assert coverage.partitions == 2
    assert coverage.as_json()["undelegated"] == {"MIRROR_PAD": 1}
