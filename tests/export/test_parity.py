"""A file that does something else than its source is refused; a right one passes by a margin."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from compress.errors import ParityError
from compress.images import to_float
from export import parity
from export.calibration import observe
from export.config import Precision
from export.graph.lower import lower
from export.graph.operations import Weighted
from export.graph.quantized import TensorScale, quantize_graph
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter


@pytest.fixture(scope="module")
def graph(student):
    return lower(student, input_shape=student.input_shape[1:])


@pytest.fixture(scope="module")
def expected(student, photos):
    return [np.asarray(student(to_float(photo)[np.newaxis]))[0] for photo in photos]


@pytest.fixture(scope="module")
def quantized(graph, photos):
    return quantize_graph(graph, observe.observe_ranges(graph, photos))


def _measure(content: bytes, photos, expected, **options: Any) -> parity.Parity:
    return parity.measure_parity(TfliteGenerator(content), photos, expected, material="photos", **options)


def test_fp32_passes_by_a_margin(graph, photos, expected):
    checked = _measure(emitter.float_file(graph), photos, expected)
    parity.require_parity(checked, "fp32")
    assert checked.psnr_db > parity.LEAST_PSNR_DB["fp32"] + 10
    assert checked.share_within_a_step is None


def test_fp16_passes_and_differs_by_more_than_fp32(graph, photos, expected):
    whole, half = (_measure(emitter.float_file(graph, weights), photos, expected) for weights in ("fp32", "fp16"))
    parity.require_parity(half, "fp16")
    assert half.psnr_db < whole.psnr_db - 20


def test_int8_weights_alone_are_nearer_than_int8_throughout(graph, quantized, photos, expected):
    weights_alone = _measure(emitter.float_file(graph, "dynamic"), photos, expected)
    parity.require_parity(weights_alone, "dynamic")
    throughout = _measure(emitter.int8_file(quantized, "float"), photos, expected)
    assert weights_alone.psnr_db > throughout.psnr_db


@pytest.mark.parametrize("io_type", ["float", "int8", "uint8"])
def test_int8_is_within_a_step_of_its_reference_whatever_its_io_type(quantized, photos, expected, io_type):
    content = emitter.int8_file(quantized, io_type)
    checked = _measure(content, photos, expected, quantized=quantized)
    parity.require_parity(checked, "int8")
    assert checked.share_within_a_step is not None
    assert checked.share_within_a_step >= 0.9999


def test_one_wrong_weight_is_caught_in_float(graph, photos, expected):
    first = next(operation for operation in graph.operations if isinstance(operation, Weighted))
    kernel = first.kernel.copy()
    kernel[0, 0, 0, 0] += 0.1
    wrong = dataclasses.replace(first, kernel=kernel)
    broken = dataclasses.replace(
        graph, operations=tuple(wrong if operation is first else operation for operation in graph.operations)
    )
    checked = _measure(emitter.float_file(broken), photos, expected)
    with pytest.raises(ParityError, match=r"fp32 file is .* dB from its source"):
        parity.require_parity(checked, "fp32")


def test_one_wrong_zero_point_is_caught_in_int8(quantized, photos, expected):
    # The file is written with another scale than the reference runs with: still a similar picture, yet wrong.
    name = quantized.graph.operations[2].output
    right = quantized.tensors[name]
    wrong = TensorScale(right.scale * 1.1, right.zero_point)
    broken = dataclasses.replace(quantized, tensors={**quantized.tensors, name: wrong})
    content = emitter.int8_file(broken, "int8")
    checked = _measure(content, photos, expected, quantized=quantized)
    assert checked.psnr_db > parity.LEAST_PSNR_DB["int8"]
    with pytest.raises(ParityError, match="integer-exact reference"):
        parity.require_parity(checked, "int8")


@pytest.mark.parametrize(("photos_off", "refused"), [(1, False), (2, True)])
def test_one_photo_that_a_rounded_half_throws_off_is_no_wrong_file(
    quantized, photos, expected, monkeypatch: pytest.MonkeyPatch, photos_off: int, refused: bool
):
    run, seen = parity.numpy_int8.run_int8_graph, []

    def otherwise(graph, images):
        seen.append(images)
        exact = run(graph, images)
        return exact if len(seen) > photos_off else np.clip(exact.astype(int) + 4, -128, 127).astype(np.int8)

    monkeypatch.setattr(parity.numpy_int8, "run_int8_graph", otherwise)
    checked = _measure(emitter.int8_file(quantized, "int8"), photos[:3], expected[:3], quantized=quantized)
    assert checked.share_within_a_step is not None
    assert (checked.share_within_a_step < parity.LEAST_SHARE_WITHIN_A_STEP) == refused


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic", "int8"])
def test_nan_misses_every_bound(precision: Precision):
    checked = parity.Parity(images=1, material="photos", psnr_db=float("nan"), largest_difference=0.0)
    with pytest.raises(ParityError):
        parity.require_parity(checked, precision)


def test_synthetic_photos_are_the_same_for_the_same_seed():
    first, second, other = (parity.synthetic_photos((16, 24), count=2, seed=seed) for seed in (1, 1, 2))
    assert first[0].shape == (16, 24, 3)
    assert first[0].dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
