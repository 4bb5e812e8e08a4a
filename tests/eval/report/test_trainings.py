"""Curves that are read, of students and of teachers, and records that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.errors import UnusableData
from eval.report.trainings import Line, read_curve


def kid(mean: float) -> dict[str, Any]:
    return {"mean": mean, "spread": 0.01, "metric": "kid", "network": "inception"}


TEACHING = {
    "history": {
        "checks": [
            {"step": 100, "a2b": kid(0.3), "b2a": kid(0.4)},
            {"step": 200, "a2b": None, "b2a": kid(0.35)},
            {"step": 300, "a2b": kid(0.1), "b2a": None},
        ],
        "control": {"step": 0, "a2b": kid(0.5), "b2a": None},
    }
}


def test_a_student_gives_the_psnr_of_held_back_photos(tmp_path: Path) -> None:
    history = [{"step": 5, "held_back_psnr_db": 20.0}, {"step": 9, "held_back_psnr_db": 21.5}]
    (tmp_path / "training.json").write_text(json.dumps({"history": history}))
    curve = read_curve(tmp_path)
    assert curve is not None
    assert curve.metric == "held_back_psnr_db"
    assert curve.lines == [Line(name="", steps=[5, 9], values=[20.0, 21.5])]


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_teacher_gives_the_kid_of_both_directions_without_failed_checks(tmp_path: Path, named: str) -> None:
    (tmp_path / "teaching.json").write_text(json.dumps(TEACHING))
    curve = read_curve(tmp_path if named == "folder" else tmp_path / "teaching.json")
    assert curve is not None
    assert curve.metric == "kid"
    assert curve.lines == [
        Line(name="A→B", steps=[100, 300], values=[0.3, 0.1], spreads=[0.01, 0.01], control=0.5),
        Line(name="B→A", steps=[100, 200], values=[0.4, 0.35], spreads=[0.01, 0.01]),
    ]


@pytest.mark.parametrize("history", [[], {"checks": [], "control": None}])
def test_a_training_without_measurements_has_no_curve(tmp_path: Path, history: Any) -> None:
    (tmp_path / "training.json").write_text(json.dumps({"history": history}))
    assert read_curve(tmp_path) is None


def test_an_artifact_without_a_record_has_no_curve(tmp_path: Path) -> None:
    manifest = Manifest(
        name="old",
        format="keras",
        stage="distill",
        parent=None,
        input=ImageSpec(shape=(8, 8, 3)),
        cost=Cost(params=1, macs=1, size_bytes=1),
    )
    write_manifest(tmp_path, manifest)
    assert read_curve(tmp_path) is None


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match="no record of a training"):
        read_curve(tmp_path)
    with pytest.raises(UnusableData, match="nowhere"):
        read_curve(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"history": 3}',
        '{"history": [{"step": 1}]}',
        '{"history": {"checks": 2, "control": null}}',
        '{"history": [{"step": 1, "held_back_psnr_db": NaN}]}',
    ],
)
def test_a_broken_record_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "training.json").write_text(content)
    with pytest.raises(UnusableData, match=r"training\.json"):
        read_curve(tmp_path)
