"""Two other quantisers write the same student: litert-quantizer with our ranges and its own, and the TF converter."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from benchmarks.quantizers.compare import litert_quantizer_file, tensorflow_file
from compress.images import psnr_db, to_float
from compress.models.pocket_generator import PocketConfig, build_student
from export.calibration import observe
from export.graph.lower import lower
from export.graph.quantized import QuantizedGraph, quantize_graph
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage

pytestmark = [
    # litert-quantizer watches every tensor, of which LiteRT warns; the converter asks for statistics it does not use.
    pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`:UserWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
]
PER_CHANNEL_BYTES = 32
"""Bytes that a file may hold for each output channel beside its weights'; the published measure of a lean file."""


@pytest.fixture(scope="module")
def quantized(student, photos) -> QuantizedGraph:
    graph = lower(student, input_shape=student.input_shape[1:])
    return quantize_graph(graph, observe.observe_ranges(graph, photos))


@pytest.fixture(scope="module")
def ours(quantized) -> bytes:
    return emitter.int8_file(quantized, "int8")


def _run(content: bytes, photos: list[np.ndarray]) -> np.ndarray:
    generator = TfliteGenerator(content)
    return np.stack([generator.translate(photo) for photo in photos])


def _run_undelegated(content: bytes, images: list[np.ndarray]) -> np.ndarray:
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    run = interpreter.get_signature_runner("serving_default")
    return np.stack([run(image=image)["generated"] for image in images])


def _distance_db(content: bytes, quantized: QuantizedGraph, photos: list[np.ndarray]) -> float:
    expected = _run(emitter.float_file(quantized.graph), photos)
    return psnr_db(_run(content, photos) - expected)


def test_litert_quantizer_with_our_ranges_makes_the_same_picture(quantized, ours, photos) -> None:
    """By LiteRT's own kernels: XNNPACK rounds otherwise, and leaves of their file what it takes of ours."""
    theirs = litert_quantizer_file(quantized.graph, photos, quantized.tensors)
    images = [quantized.tensors["image"].quantize(to_float(photo))[np.newaxis] for photo in photos]
    np.testing.assert_array_equal(_run_undelegated(ours, images), _run_undelegated(theirs, images))
    assert delegate_coverage(ours).complete


def test_litert_quantizer_by_itself_is_no_closer_and_no_smaller(quantized, ours, photos) -> None:
    theirs = litert_quantizer_file(quantized.graph, photos)
    assert len(ours) < len(theirs)
    # Least and greatest of all photos against what most stay within: on photos of the calibration itself, equally good.
    assert _distance_db(ours, quantized, photos) > _distance_db(theirs, quantized, photos) - 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite:UserWarning")
def test_tensorflow_converter_is_no_closer_and_no_smaller(student, quantized, ours, photos) -> None:
    theirs = tensorflow_file(student, photos)
    assert len(ours) < len(theirs)
    assert _distance_db(ours, quantized, photos) > _distance_db(theirs, quantized, photos) - 1


@pytest.mark.parametrize(
    "shape",
    [
        {"family": "pixel_shuffle"},
        {"family": "space_to_depth"},
        {"family": "unet"},
        {"family": "separable", "width": 80, "blocks": 5},
    ],
    ids=lambda shape: shape["family"],
)
def test_file_is_lean_beside_its_weights(randomise, photos, shape) -> None:
    """The students that the README offers, metadata included."""
    shipped = randomise(build_student(PocketConfig(image_size_px=32, **shape)))
    graph = lower(shipped, input_shape=(32, 32, 3))
    result = quantize_graph(graph, observe.observe_ranges(graph, photos[:1]))
    weights = sum(item.kernel.size for item in result.weights.values())
    channels = sum(item.bias.size for item in result.weights.values())
    assert len(emitter.int8_file(result, "uint8")) < 1.03 * (weights + PER_CHANNEL_BYTES * channels)
