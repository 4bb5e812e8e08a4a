"""What makes a stopped training another one: not only its settings, also the content of what it reads."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.artifact import Artifact, Cost, ImageSpec, Manifest, write_manifest
from compress.distill import stage as distilling
from compress.distill.config import DistillConfig
from compress.distill.inputs import resolve_inputs
from compress.prune.config import PruneConfig
from compress.teach import stage as teaching
from compress.teach.config import TeachConfig
from compress.teachers.reading.config import AS_FOUND

SIZE_PX = 16


class _Asked(Exception):
    """Raised in place of a training, with its identity."""


@pytest.fixture
def data(photo_folders: Path, tmp_path: Path) -> Path:
    return shutil.copytree(photo_folders, tmp_path / "data")


@pytest.fixture
def student(tmp_path: Path) -> Path:
    """A folder that passes for a student's as long as nobody loads it."""
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "model.keras").write_bytes(b"weights")
    manifest = Manifest(
        name="student", format="keras", stage="distill", parent=None, config={"domain": "A"},
        input=ImageSpec(shape=(SIZE_PX, SIZE_PX, 3)), cost=Cost(params=1, macs=1, size_bytes=1),
    )  # fmt: skip
    write_manifest(tmp_path / "student", manifest)
    return tmp_path / "student"


@pytest.fixture
def identify(
    monkeypatch: pytest.MonkeyPatch, teacher_file: Path, student: Path, data: Path, tmp_path: Path
) -> Callable[[str], str]:
    """Return the identity of a training of one kind, without training."""

    def ask(out: Path, identity: str, *_: Any, **__: Any) -> Artifact:
        raise _Asked(identity)

    monkeypatch.setattr(distilling, "run_training", ask)
    monkeypatch.setattr(teaching, "run_training", ask)
    out = tmp_path / "out"

    def train(kind: str) -> None:
        if kind == "distilling":
            distilling.distill(teacher_file, data, DistillConfig(image_size_px=SIZE_PX, watch_kid=False), out)
        teaching.teach(data, TeachConfig(image_size_px=2 * SIZE_PX, watch_kid=False), out)

    def identify(kind: str) -> str:
        if kind == "fine-tuning":
            config = PruneConfig(max_bytes=1)
            inputs = resolve_inputs(student, teacher_file, data, config, out, overwrite=False, reading=AS_FOUND)
            return inputs.identity()
        with pytest.raises(_Asked) as asked:
            train(kind)
        return str(asked.value)

    return identify


@pytest.mark.parametrize("kind", ["distilling", "fine-tuning", "teaching"])
def test_a_photo_that_was_replaced_in_its_place_makes_another_training(
    identify: Callable[[str], str], data: Path, kind: str
) -> None:
    before = identify(kind)
    (data / "trainA" / "notes.txt").write_text("mine")
    assert identify(kind) == before
    shutil.copy(data / "trainA" / "001.png", data / "trainA" / "000.png")
    assert identify(kind) != before


def test_a_model_that_was_replaced_under_its_manifest_makes_another_training(
    identify: Callable[[str], str], student: Path
) -> None:
    before = identify("fine-tuning")
    (student / "model.keras").write_bytes(b"other weights")
    assert identify("fine-tuning") != before
