"""Refusals of `compress bench published` with students, before anything runs."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.published.config import PublishedConfig
from benchmarks.students.config import StudentsConfig
from benchmarks.students.stage import bench_students
from compress.errors import UnusableArtifact, UnusableData, UnusableModel, UsageError

SIDE = 16


def _flag(line: list[str], name: str) -> str:
    return line[line.index(name) + 1]


@pytest.mark.parametrize(
    ("others", "changes", "error", "message"),
    [
        ([], {"peer": ("elsewhere/small",)}, UsageError, "are both called small"),
        ([], {"peer": ("omgd", "omgd")}, UsageError, "are both called omgd"),
        (["teacher"], {}, UsageError, "the baseline are both called teacher"),
        (["reversed"], {}, UsageError, "domain A, but .*reversed domain B"),
        (["larger"], {}, UsageError, "larger takes 32x32 images, expected 16x16 as of .*small"),
        ([], {"image_size_px": 64}, UsageError, "small takes 16x16 images, expected 64x64 as of --image-size-px"),
        (["exported"], {}, UnusableArtifact, "exported is an export already"),
        (["missing"], {}, UnusableArtifact, "missing does not exist"),
        ([], {"teacher": Path("missing.h5")}, UnusableModel, r"missing\.h5 does not exist"),
        ([], {"data": Path("missing")}, UnusableData, "missing is no folder"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(
    ran: list[list[str]],
    artifact: Callable[..., Path],
    config: PublishedConfig,
    task: StudentsConfig,
    tmp_path: Path,
    others: list[str],
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    small = artifact(tmp_path / "small")
    artifact(tmp_path / "elsewhere/small")
    artifact(tmp_path / "teacher")
    artifact(tmp_path / "reversed", domain="B")
    artifact(tmp_path / "larger", side=32)
    artifact(tmp_path / "exported", form="tflite")
    if "peer" in changes:
        changes = {"peer": tuple(tmp_path / name if "/" in name else name for name in changes["peer"])}
    with pytest.raises(error, match=message):
        bench_students(
            [small, *(tmp_path / name for name in others)],
            replace(config, **{name: value for name, value in changes.items() if name not in ("data", "peer")}),
            replace(task, **{name: value for name, value in changes.items() if name in ("data", "peer")}),
            tmp_path / "out",
        )
    assert ran == []
    assert not (tmp_path / "out").exists()


def test_students_of_any_size_need_one_and_both_domains_have_no_real_reference(
    ran: list[list[str]], artifact: Callable[..., Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    anywhere = artifact(tmp_path / "anywhere", side=None)
    with pytest.raises(UsageError, match="--image-size-px"):
        bench_students([anywhere], config, task, tmp_path / "out")
    with pytest.raises(UsageError, match="--reference teacher"):
        bench_students([artifact(tmp_path / "both", domain="both")], config, task, tmp_path / "out")
    assert (
        bench_students([anywhere], replace(config, image_size_px=SIDE), task, tmp_path / "out")["image_size_px"] == SIDE
    )


def test_a_student_of_the_other_direction_is_compared_with_the_photos_of_a(
    ran: list[list[str]], artifact: Callable[..., Path], config: PublishedConfig, task: StudentsConfig, tmp_path: Path
) -> None:
    record = bench_students([artifact(tmp_path / "back", domain="B")], config, task, tmp_path / "out")
    assert (record["domain"], record["target"]) == ("B", "A")
    assert [_flag(line, "--domain") for line in ran if line[0] == "data"] == ["B", "A"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        ((), 2, "no student was given"),
        (("student",), 2, "--data is missing"),
        (("student", "--data", "photos", "--overwrite"), 2, "belong to --shapes"),
        (("student", "--data", "photos", "--sweep-width", "8"), 2, "belong to --shapes"),
        (("student", "--data", "photos", "--runs", "0"), 2, "runs = 0"),
        (("student", "--data", "photos"), 3, "g.h5 does not exist"),
    ],
)
def test_faults_end_with_their_exit_code_and_a_line(
    command: Callable[..., subprocess.CompletedProcess[str]], arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    finished = command("published", *arguments, "--teacher", "g.h5", "--out", "runs/out", module="benchmarks")
    assert (finished.returncode, finished.stdout) == (exit_code, "")
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
