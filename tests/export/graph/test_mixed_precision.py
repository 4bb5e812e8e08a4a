"""Operators that stay in float inside an int8 graph: what is put around them, and what the file does."""

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from compress.errors import UnusableArtifact
from compress.images import to_float
from export import parity
from export.calibration import observe
from export.config import IoType
from export.graph.lower import lower
from export.graph.mixed_precision import insert_float_islands
from export.graph.operations import Add, Convolution, Dequantize, Graph, Operation, Quantize
from export.graph.quantized import QuantizedGraph, quantize, with_scales
from export.interpreter import numpy_float, numpy_int8
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage


def _forked() -> Graph:
    """Of four operations: a = conv(image), b = conv(a), c = a + b, generated = conv(c)."""
    shape = (4, 4, 3)

    def convolution(source: str, output: str) -> Operation:
        kernel = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
        return Convolution(inputs=(source,), output=output, shape=shape, kernel=kernel, bias=np.zeros(3, np.float32))

    total = Add(inputs=("a", "b"), output="c", shape=shape)
    operations = (convolution("image", "a"), convolution("a", "b"), total, convolution("c", "generated"))
    return Graph(input="image", output="generated", input_shape=shape, operations=operations)


def _spelled(graph: Graph) -> list[tuple[str, str]]:
    return [("+".join(operation.inputs), operation.output) for operation in graph.operations]


def test_nothing_kept_is_the_graph_itself() -> None:
    graph = _forked()
    assert insert_float_islands(graph, ()) is graph


def test_an_island_reads_float_and_is_read_as_int8() -> None:
    spelled = insert_float_islands(_forked(), {"b"})
    assert _spelled(spelled) == [
        ("image", "a"), ("a", "a/float"), ("a/float", "b/float"), ("b/float", "b"), ("a+b", "c"), ("c", "generated"),
    ]  # fmt: skip
    changes = [type(operation) for operation in spelled.operations if isinstance(operation, Quantize | Dequantize)]
    assert changes == [Dequantize, Quantize]


def test_a_tensor_changes_its_type_once_for_all_its_readers() -> None:
    """`a` is read as float by two and as int8 by none, so that it is never rounded."""
    assert _spelled(insert_float_islands(_forked(), {"a", "b", "c"})) == [
        ("image", "image/float"), ("image/float", "a/float"), ("a/float", "b/float"), ("a/float+b/float", "c/float"),
        ("c/float", "c"), ("c", "generated"),
    ]  # fmt: skip
    assert _spelled(insert_float_islands(_forked(), {"b", "c"})).count(("a", "a/float")) == 1


def test_the_ends_stay_int8() -> None:
    graph = insert_float_islands(_forked(), {"a", "b", "c", "generated"})
    assert (graph.input, graph.output) == ("image", "generated")
    assert _spelled(graph)[0] == ("image", "image/float")
    assert _spelled(graph)[-1] == ("generated/float", "generated")


@pytest.fixture(scope="module")
def graph(student) -> Graph:
    return lower(student, input_shape=(32, 32, 3))


@pytest.fixture(scope="module")
def whole(graph, photos) -> QuantizedGraph:
    return quantize(graph, observe.observe_ranges(graph, photos))


@pytest.fixture(scope="module", params=["the last", "every third", "all"])
def mixed(request, graph, whole) -> QuantizedGraph:
    """A student with an island at its end, with many, or in float between its io_type."""
    names = [operation.output for operation in graph.operations]
    kept = {"the last": names[-3:], "every third": names[::3], "all": names}[request.param]
    return with_scales(graph, whole.tensors, kept)


def test_only_int8_operations_have_integer_weights(mixed, whole) -> None:
    assert mixed.weights.keys() == whole.weights.keys() - set(mixed.float_ops)
    assert mixed.as_json() == whole.as_json()
    for name, weights in mixed.weights.items():
        np.testing.assert_array_equal(weights.kernel, whole.weights[name].kernel)
        np.testing.assert_array_equal(weights.bias, whole.weights[name].bias)


@pytest.mark.parametrize("io_type", ["float", "int8", "uint8"])
def test_a_mixed_file_is_one_partition_and_does_what_the_reference_does(mixed, photos, io_type: IoType) -> None:
    content = emitter.int8_file(mixed, io_type)
    assert delegate_coverage(content).complete
    expected = [numpy_float.run_graph(mixed.graph, to_float(photo)[np.newaxis])[0] for photo in photos]
    measured = parity.measure_parity(content, photos, expected, material="synthetic", quantized=mixed)
    assert measured.share_within_a_step is not None
    assert measured.share_within_a_step >= 0.999


def test_the_file_changes_types_around_its_islands_alone(mixed) -> None:
    content = emitter.int8_file(mixed, "int8")
    plain = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    found = Counter(operator["op_name"] for operator in plain._get_ops_details())
    changes = Counter(type(operation) for operation in mixed.graph.operations)
    assert found["DEQUANTIZE"] == changes[Dequantize] >= 1
    # A lone int8 ReLU is a QUANTIZE, too.
    lone = [one for one in mixed.graph.operations if getattr(one, "function", "") == "relu" and mixed.is_integer(one)]
    assert found["QUANTIZE"] == changes[Quantize] + len(lone)
    types = {detail["name"]: detail["dtype"] for detail in plain.get_tensor_details()}
    assert all(types[f"{name}/float"] is np.float32 for name in mixed.float_ops)


def test_float_between_the_ends_loses_what_the_ends_lose(graph, whole, photos) -> None:
    """All of it in float: what is left is the rounding of the picture, of the photo and of nothing else."""
    mixed = with_scales(graph, whole.tensors, [operation.output for operation in graph.operations])
    scale = whole.tensors[graph.input]
    batch = to_float(np.stack(photos))
    rounded = scale.dequantize(scale.quantize(batch))
    made = numpy_int8.run_int8_graph(mixed, scale.quantize(batch))
    np.testing.assert_array_equal(made, whole.tensors[graph.output].quantize(numpy_float.run_graph(graph, rounded)))
    files = TfliteGenerator(emitter.int8_file(mixed, "float")), TfliteGenerator(emitter.int8_file(whole, "float"))
    expected = numpy_float.run_graph(graph, batch)
    kept, lost = (parity.psnr_db(np.stack([one.translate(photo) for photo in photos]) - expected) for one in files)
    # Measured: 56 to 57 dB against 43 to 48.
    assert kept > lost + 6


def test_a_manifest_that_keeps_what_its_model_lacks_is_refused(graph, whole, photos) -> None:
    with pytest.raises(UnusableArtifact, match=r"keeps nowhere in float.*quantize it anew"):
        observe.quantize_on(graph, photos, whole.tensors, ("nowhere",))
