"""Delegate coverage, counted on files whose operators are known."""

from pathlib import Path

from benchmarks.host.coverage import operator_coverage


def test_plain_convolutions_are_one_partition_with_nothing_left_behind(models: Path) -> None:
    coverage = operator_coverage(models / "narrow.tflite")
    assert (coverage.ops_total, coverage.ops_delegated, coverage.partitions) == (3, 3, 1)


def test_mirror_pads_are_left_behind_and_cut_the_file_into_partitions(models: Path) -> None:
    coverage = operator_coverage(models / "mirrored.tflite")
    assert (coverage.ops_total, coverage.ops_delegated, coverage.partitions) == (6, 3, 3)
    assert coverage.op_counts == {"MIRROR_PAD": 3, "CONV_2D": 3}
