"""The text of `benchmark_model`, of several releases and on several backends, is read."""

from collections.abc import Callable

import pytest

from benchmarks.android.transcript import (
    find_failure_reason,
    find_refusal_reason,
    read_delegation,
    read_memory,
    read_profile,
    read_timings,
)

Transcript = Callable[[str], str]


def test_timings_are_those_of_the_measured_inferences(transcript: Transcript) -> None:
    found = read_timings(transcript("cpu_student_examined"))
    assert found.invokes == 164
    assert (found.init_ms, found.first_inference_ms, found.warmup_ms) == pytest.approx((4.98, 7.011, 6.11244))
    assert (found.min_ms, found.max_ms, found.mean_ms, found.std_ms) == pytest.approx((5.971, 6.411, 6.0812, 0.064))
    assert (found.median_ms, found.p95_ms, found.typical_ms) == pytest.approx((6.07, 6.211, 6.07))


def test_a_second_is_read_though_it_is_printed_with_an_exponent(transcript: Transcript) -> None:
    found = read_timings(transcript("cpu_teacher"))
    assert (found.mean_ms, found.warmup_ms, found.median_ms) == pytest.approx((1099.34, 1132.09, 1098.01))


def test_a_single_inference_has_no_spread() -> None:
    text = "INFO: count=1 curr=5000 p5=5000 median=5000 p95=5000\n\nINFO: Inference timings in us: Init: 1, "
    found = read_timings(text + "First inference: 5000, Warmup (avg): 5000, Inference (avg): 5000\n")
    assert (found.invokes, found.min_ms, found.max_ms, found.median_ms, found.std_ms) == (1, 5.0, 5.0, 5.0, 0.0)


def test_equal_inferences_are_read() -> None:
    text = "count=3 curr=7(all same)\n\nInference timings in us: Init: 1, First inference: 7, Warmup (avg): 7, "
    found = read_timings(text + "Inference (avg): 7\n")
    assert (found.invokes, found.min_ms, found.max_ms, found.median_ms, found.typical_ms) == (
        3,
        0.007,
        0.007,
        None,
        0.007,
    )


def test_an_old_release_without_percentiles_and_totals_is_read(transcript: Transcript) -> None:
    text = transcript("release_2_4")
    found = read_timings(text)
    assert (found.invokes, found.median_ms, found.p95_ms) == (20, None, None)
    assert found.typical_ms == pytest.approx(56.2658)
    delegation = read_delegation(text, "cpu")
    assert (delegation.extent, delegation.nodes, delegation.nodes_total) == ("partially", 63, None)
    assert delegation.partitions == 2
    assert read_memory(text) is None
    assert read_profile(text) == []


def test_text_without_timings_is_no_measurement(transcript: Transcript) -> None:
    with pytest.raises(ValueError, match="printed no timings"):
        read_timings(transcript("crashed"))


@pytest.mark.parametrize(
    ("name", "extent", "nodes", "total", "partitions"),
    [
        ("cpu_student", "completely", 66, 66, 1),
        ("cpu_teacher", "partially", 340, 359, 20),
        # XNNPACK then takes what the GPU left: its line is not the GPU's.
        ("gpu_teacher", "partially", 350, 359, 3),
        ("nnapi_student", "partially", 64, 66, 3),
        ("gpu_fell_back", "not", None, None, None),
        ("gpu_missing", "not", None, None, None),
    ],
)
def test_what_a_delegate_took_is_read(
    transcript: Transcript, name: str, extent: str, nodes: int | None, total: int | None, partitions: int | None
) -> None:
    found = read_delegation(transcript(name), name.partition("_")[0])  # pyright: ignore[reportArgumentType]
    assert (found.extent, found.nodes, found.nodes_total, found.partitions) == (extent, nodes, total, partitions)


def test_operators_that_the_gpu_leaves_over_are_listed_with_their_reasons(transcript: Transcript) -> None:
    assert read_delegation(transcript("gpu_teacher"), "gpu").unsupported == (
        "MIRROR_PAD: Only Reflective padding is supported.",
        "PAD: Max version supported: 2. Requested version 4.",
    )
    assert read_delegation(transcript("gpu_student"), "gpu").unsupported == ()


def test_memory_is_read_in_bytes(transcript: Transcript) -> None:
    found = read_memory(transcript("cpu_student_examined"))
    assert found is not None
    assert (found.init_bytes, found.overall_bytes) == (round(3.875 * 2**20), round(6.375 * 2**20))
    assert found.peak_bytes == round(9.5 * 2**20)
    timed = read_memory(transcript("cpu_student"))
    assert timed is not None
    assert timed.peak_bytes is None


def test_the_profile_is_that_of_inferences_in_their_order(transcript: Transcript) -> None:
    found = read_profile(transcript("cpu_student_examined"))
    assert [node.type for node in found] == [
        "Convolution (NHWC, QC8) IGEMM",
        "Convolution (NHWC, QC8) DWConv",
        "RESIZE_BILINEAR",
    ]
    assert [node.mean_ms for node in found] == [0.398, 0.944, 1.287]
    assert found[2].name == "[StatefulPartitionedCall:0]:17"


@pytest.mark.parametrize(
    ("name", "exit_code", "message"),
    [
        ("gpu_refused", 1, "TfLiteGpuDelegate Init: TRANSPOSE_CONV: Batch size mismatch, expected 1 but got 4"),
        ("nnapi_refused", 1, "NN API returned error ANEURALNETWORKS_BAD_DATA"),
        ("crashed", 139, "died of a segmentation fault"),
        ("crashed", 150, "died of signal 22"),
    ],
)
def test_the_cause_of_a_failure_is_found(transcript: Transcript, name: str, exit_code: int, message: str) -> None:
    assert message in find_failure_reason(transcript(name), exit_code)


def test_a_program_that_says_nothing_is_quoted_by_its_exit_code() -> None:
    assert find_failure_reason("", 126) == "benchmark_model ended with exit code 126 and said nothing"
    assert "not executable" in find_failure_reason("sh: ./benchmark_model: not executable: 64-bit ELF file\n", 126)


def test_a_delegate_that_took_nothing_is_explained(transcript: Transcript) -> None:
    assert "CONV_2D: OP is supported, but" in find_refusal_reason(transcript("gpu_fell_back"), "gpu")
    assert "unsupported on this platform" in find_refusal_reason(transcript("gpu_missing"), "gpu")
    assert "does not say why" in find_refusal_reason("", "nnapi")
