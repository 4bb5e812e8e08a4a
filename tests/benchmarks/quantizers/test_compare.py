"""`python -m benchmarks.quantizers` as a developer runs it.

What the quantisers write is held in `tests/export/tflite/test_oracles.py`.
"""

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quantizers.compare import BASELINE, check_quantizers, compare_quantizers
from benchmarks.quantizers.config import QuantizersConfig
from benchmarks.quantizers.table import format_table
from benchmarks.quantizers.tfmot.job import check_copyable
from compress import images
from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.errors import UnsupportedLayer, UnusableData, UsageError
from compress.files.atomic import atomic_dir
from compress.models.pocket_generator import PocketConfig, build_student
from compress.teachers.description import GeneratorDescription, LayerDescription

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a 32x32 student of a few channels with random weights."""
    model, random = build_student(PocketConfig(image_size_px=32, width=8, blocks=1)), np.random.default_rng(7)
    for variable in model.trainable_variables:
        variable.assign(variable + random.normal(0, 0.1, tuple(variable.shape)))
    out = tmp_path_factory.mktemp("students") / "student"
    with atomic_dir(out) as scratch:
        model.save(scratch / "model.keras")
        cost = Cost(params=model.count_params(), macs=None, size_bytes=1)
        spec = ImageSpec(shape=(32, 32, 3))
        write_manifest(
            scratch, Manifest(name="student", format="keras", stage="distill", parent=None, input=spec, cost=cost)
        )
    return out


def test_one_table_holds_every_quantiser(command: Command, student: Path, photo_folders: Path, tmp_path: Path) -> None:
    out = tmp_path / "quantizers.json"
    line = (student, "--data", photo_folders, "--calibration-images", 8, "--images", 9, "--runs", 2)
    finished = command(*line, "--out", out, "--json", module="benchmarks.quantizers")
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    assert json.loads(out.read_text()) == record
    # The folder holds four test photos of the student's domain.
    assert (record["calibration_images"], record["images"]) == (8, 4)
    assert record["versions"].keys() == {"litert-quantizer", "tensorflow"}
    floating, ours, *others = record["entries"]
    assert [floating["name"], ours["name"]] == [BASELINE, "compress export"]
    assert [entry["name"] for entry in others] == ["litert-quantizer, our ranges", "litert-quantizer", "TF converter"]
    assert floating["psnr_db"] > 90
    psnr_db = {entry["name"]: entry["psnr_db"] for entry in (ours, *others)}
    assert all(25 < value < 90 for value in psnr_db.values()), psnr_db
    assert ours["size_bytes"] < min(entry["size_bytes"] for entry in others)
    assert ours["ops_delegated"] == ours["ops_total"]
    # litert-quantizer leaves the shuffle in float.
    assert [bool(entry["float_operators"]) for entry in (ours, *others)] == [False, True, True, False]
    assert record["trainings"] is None
    # As TFMOT's files have where a layer was not annotated.
    others[-1]["float_operators"] = {"DEQUANTIZE": 2, "MUL": 1}
    lines = format_table(record).splitlines()
    assert f"{ours['psnr_db']:.2f} dB" in lines[2]
    assert "8 photos, PSNR over 4 others" in lines[6]
    assert "float within TF converter: 2 DEQUANTIZE, 1 MUL" in lines


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="tensorflow-model-optimization, of the group `dev`, is not installed",
)
# Three processes load TensorFlow and compile four trainings: minutes of computing, far more beside other work.
@pytest.mark.timeout(1200)
def test_trainings_join_the_table(
    command: Command, student: Path, photo_folders: Path, teacher_file: Path, tmp_path: Path
) -> None:
    line = (student, "--data", photo_folders, "--calibration-images", 8, "--images", 4, "--runs", 1)
    trained = ("--steps", 2, "--teacher", teacher_file, "--json")
    finished = command(
        *line, *trained, module="benchmarks.quantizers", env=os.environ | {"POCKETGAN_CACHE": str(tmp_path)}
    )
    assert finished.returncode == 0, finished.stderr
    record = json.loads(finished.stdout)
    floating, *files = record["entries"]
    assert [entry["name"] for entry in files[4:]] == [
        "compress quantize, ptq",
        "compress quantize, control",
        "compress quantize, qat",
        "TFMOT QAT",
        "TFMOT QAT, calibrated",
        "TF converter, of the control",
    ]
    assert {"tensorflow-model-optimization", "tf-keras"} <= record["versions"].keys()
    assert all(entry["psnr_db"] > 20 and entry["teacher_psnr_db"] > 0 for entry in files)
    assert all(entry["ops_delegated"] == entry["ops_total"] for entry in files)
    # Two steps teach nothing: the teacher is as far from every file as from the student.
    assert all(abs(entry["teacher_psnr_db"] - floating["teacher_psnr_db"]) < 1 for entry in files)
    assert (record["trainings"]["training_photos"], record["trainings"]["config"]["steps"]) == (11, 2)
    for facts in record["trainings"]["tfmot"].values():
        assert facts["copy_difference"] < 1e-4
        assert facts["annotated_by_hand"] == {"SpaceToDepth": 1, "DepthToSpace": 2}
    text = format_table(record)
    assert "to the teacher" in text
    assert "trained by 2 steps of 8 of 11 photos, learning rate 0.0002" in text
    assert "annotated by hand: 2 DepthToSpace, 1 SpaceToDepth" in text


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("missing", "--data", "."), 3, "missing does not exist"),
        ((".", "--data", ".", "--images", "0"), 2, "images = 0"),
        ((".", "--data", ".", "--steps", "3"), 2, "steps = 3 and teacher = None"),
        ((".", "--data", ".", "--steps", "0", "--teacher", "t.h5"), 2, "steps = 0"),
        ((".",), 2, "--data"),
    ],
    ids=["no student", "no images", "no teacher", "no steps", "no data"],
)
def test_faults_end_with_their_exit_code_and_a_line(
    command: Command, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    finished = command(*arguments, module="benchmarks.quantizers")
    assert finished.returncode == exit_code
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("litert_quantizer", "litert-quantizer"),
        ("tensorflow", "tensorflow"),
        ("tensorflow_model_optimization", "tensorflow-model-optimization"),
    ],
)
def test_a_missing_quantiser_is_named(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(UsageError, match=f"{package}, which is not installed"):
        check_quantizers(QuantizersConfig(data=Path(), steps=1, teacher=Path("teacher.h5")))


def test_tfmot_is_asked_for_only_by_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "optimization" in name else object())
    check_quantizers(QuantizersConfig(data=Path()))


def test_a_student_that_the_copy_cannot_be_of_is_refused() -> None:
    layer = LayerDescription(name="norm", kind="InstanceNormalization", config={}, inputs=("input",))
    described = GeneratorDescription(
        source_format="", input_shape=(32, 32, 3), layers=(layer,), output="norm", weights={}
    )
    with pytest.raises(UnsupportedLayer, match=r"layer norm \(InstanceNormalization\).*expected one of Activation"):
        check_copyable(described)


def test_a_folder_without_test_photos_is_refused(student: Path, tmp_path: Path) -> None:
    """Its photos would be those of the calibration."""
    images.write_png(tmp_path / "photo.png", np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(UnusableData, match="testA"):
        compare_quantizers(student, QuantizersConfig(data=tmp_path))
