"""Classes of failures: what is worth another attempt, and what is said about it."""

import pytest

from compress.fleet.sweep.attempt import Report
from compress.fleet.sweep.failures import classify, explain

KILLED = 137


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (Report(0, ""), None),
        (Report(None, "paused"), None),
        *((Report(code, "compress: bad"), "input") for code in (2, 3, 4, 5)),
        (Report(74, "compress: ran out of memory. Close other programs, or give smaller images or batches."), "memory"),
        (Report(70, "compress: internal error: ResourceExhaustedError: OOM when allocating tensor"), "memory"),
        (Report(70, "compress: internal error: XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory"), "memory"),
        (Report(134, "terminate called after throwing an instance of 'std::bad_alloc'"), "memory"),
        (Report(KILLED, "", was_out_of_memory=True), "memory"),
        (Report(KILLED, ""), "lost"),
        (Report(143, ""), "lost"),
        (Report(74, "compress: /data: No space left on device."), "other"),
        (Report(70, "compress: internal error: ZeroDivisionError"), "other"),
    ],
)
def test_each_end_has_its_class(report: Report, expected: str | None) -> None:
    assert classify(report) == expected


def test_the_stage_that_failed_says_why_not_the_run_around_it() -> None:
    said = (
        "[1/3] student\ntraining on the processor\n"
        "compress: width = 31: expected an even number.\n          Pass --width 32.\n"
        "compress: stopped at student: compress distill --width 31\n"
    )
    assert explain(Report(2, said)) == "width = 31: expected an even number. Pass --width 32."
    assert explain(Report(KILLED, "[1/3] student\n")) == "compress run ended with 137"
    assert len(explain(Report(3, "compress: " + "x" * 9999))) < 600
