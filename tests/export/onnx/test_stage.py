"""The contract of a stage: one ONNX file and a valid manifest, input untouched, same seed same bytes, or nothing."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from compress.artifact import file_fingerprint, open_artifact
from compress.errors import ParityError, UnusableArtifact, UnusableModel, UsageError
from compress.images import read_image
from compress.teachers import read
from export import parity
from export.config import OnnxConfig, TfliteConfig, TranslateConfig
from export.inspect.stage import inspect_model
from export.interpreter.litert import TfliteGenerator
from export.onnx.runner import OnnxGenerator
from export.onnx.stage import export_onnx
from export.source import load_source
from export.tflite.stage import export_tflite
from export.translate import translate


@pytest.fixture
def int8(photo_folder) -> OnnxConfig:
    return OnnxConfig(precision="int8", data=photo_folder, calibration_images=4)


def test_int8_artifact_is_whole_and_tells_what_it_is(small_artifact, int8, tmp_path):
    before = file_fingerprint(small_artifact)
    artifact = export_onnx(small_artifact, int8, tmp_path / "out")
    manifest = open_artifact(tmp_path / "out").manifest
    assert file_fingerprint(small_artifact) == before
    assert (manifest.format, manifest.stage, manifest.name) == ("onnx", "export", "out")
    assert manifest.parent == open_artifact(small_artifact).fingerprint
    assert (manifest.input.shape, manifest.input.layout, manifest.input.range) == ((32, 32, 3), "NCHW", (-1.0, 1.0))
    assert (manifest.config["opset"], manifest.config["io_type"]) == (13, "float")
    assert manifest.cost.size_bytes == artifact.model_path.stat().st_size
    assert manifest.scores["integers"]["share_within_a_step"] > 0.9
    assert manifest.scores["ran_in"] == "onnxruntime"
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "manifest.json",
        "model.onnx",
        "model_card.md",
        "samples.png",
    ]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_float_file_makes_the_pictures_of_its_tflite(student, as_artifact, photos, tmp_path, precision):
    source = as_artifact(student)
    ours = export_onnx(source, OnnxConfig(precision=precision), tmp_path / "onnx")
    theirs = export_tflite(source, TfliteConfig(precision=precision), tmp_path / "tflite")
    lite, other = TfliteGenerator.open(theirs.model_path), OnnxGenerator(ours.model_path.read_bytes(), "float")
    for photo in photos:
        np.testing.assert_allclose(other.translate(photo), lite.translate(photo), atol=1 / 255)
    assert onnx.load(ours.model_path).opset_import[0].version == 11


def test_int8_file_is_as_good_as_its_tflite(student, as_artifact, int8, photos, tmp_path):
    source = as_artifact(student)
    ours = export_onnx(source, int8, tmp_path / "onnx")
    settings = TfliteConfig(precision="int8", data=int8.data, calibration_images=4)
    theirs = export_tflite(source, settings, tmp_path / "tflite")
    assert ours.manifest.quantization == theirs.manifest.quantization
    scores = [one.manifest.scores["parity"]["psnr_db"] for one in (ours, theirs)]
    assert scores[0] == pytest.approx(scores[1], abs=0.5)


def test_half_precision_halves_the_file(small_artifact, tmp_path):
    sizes = [
        export_onnx(small_artifact, OnnxConfig(precision=precision), tmp_path / precision).manifest.cost.size_bytes
        for precision in ("fp32", "fp16")
    ]
    weights = open_artifact(small_artifact).manifest.cost.params
    assert sizes[0] - sizes[1] > 1.5 * weights


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(small_artifact, int8, tmp_path):
    contents = [
        export_onnx(small_artifact, replace(int8, seed=seed), tmp_path / name).model_path.read_bytes()
        for name, seed in (("first", 0), ("second", 0), ("third", 1))
    ]
    assert contents[0] == contents[1] != contents[2]


def test_nothing_is_written_when_parity_fails(small_artifact, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.LEAST_PSNR_DB, "fp32", 1000.0)
    with pytest.raises(ParityError, match="Nothing was written"):
        export_onnx(small_artifact, OnnxConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runtime_that_rounds_otherwise_is_refused(small_artifact, int8, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.LEAST_PSNR_DB, "int8", 0.0)
    right = OnnxGenerator.translate
    monkeypatch.setattr(OnnxGenerator, "translate", lambda self, photo: right(self, photo)[::-1])
    with pytest.raises(ParityError, match="integer-exact reference"):
        export_onnx(small_artifact, int8, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_reference_evaluator_checks_where_there_is_no_runtime(small_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "onnxruntime" else object())
    manifest = export_onnx(small_artifact, OnnxConfig(), tmp_path / "out").manifest
    assert manifest.scores["ran_in"] == "onnx.reference"
    assert manifest.scores["parity"]["psnr_db"] > 90


def test_missing_package_is_named(small_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--extra onnx"):
        export_onnx(small_artifact, OnnxConfig(), tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"opset": 10}, "expected 11 to 21"),
        ({"opset": 22}, "expected 11 to 21"),
        ({"precision": "int8", "opset": 11, "data": "photos"}, "expected 13 to 21"),
        ({"precision": "int8"}, "--data"),
    ],
)
def test_wrong_settings_are_refused(settings, expected):
    with pytest.raises(UsageError, match=expected):
        OnnxConfig(**settings)


def test_file_is_read_back_as_the_generator_that_it_is(small_artifact, photos, tmp_path):
    for config in (OnnxConfig(), OnnxConfig(precision="fp16"), OnnxConfig(io_type="rgb255")):
        out = tmp_path / f"{config.precision}{config.io_type}"
        model = export_onnx(small_artifact, config, out).model_path
        assert read.describe(model).input_shape == (32, 32, 3)
        pictures = [load_source(path).translate(photos[0]) for path in (small_artifact, model)]
        if config.io_type == "rgb255":
            taken = OnnxGenerator(model.read_bytes(), "rgb255").translate(photos[0])
            np.testing.assert_allclose(taken, pictures[0], atol=1e-4)
        else:
            np.testing.assert_allclose(pictures[1], pictures[0], atol=1e-4 if config.precision == "fp32" else 0.05)


def test_int8_file_is_refused_by_name_and_not_misread(small_artifact, int8, tmp_path):
    model = export_onnx(small_artifact, int8, tmp_path / "out").model_path
    with pytest.raises(UnusableModel, match=r"QuantizeLinear\) belongs to an int8 file"):
        read.describe(model)


def test_artifact_translates_and_is_inspected(small_artifact, photo_folder, tmp_path):
    artifact = export_onnx(small_artifact, OnnxConfig(io_type="rgb255"), tmp_path / "out")
    for model, folder in ((small_artifact, "source"), (artifact.path, "export")):
        translate(model, photo_folder, tmp_path / folder, TranslateConfig())
    for path in (tmp_path / "source").glob("*.png"):
        apart = read_image(path).astype(int) - read_image(tmp_path / "export" / path.name)
        assert np.abs(apart).max() <= 1
    report = inspect_model(artifact.path).report
    assert (report["format"], report["size_bytes"]) == ("onnx", artifact.model_path.stat().st_size)


def test_export_of_an_export_is_refused(small_artifact, tmp_path):
    first = export_onnx(small_artifact, OnnxConfig(), tmp_path / "first")
    with pytest.raises(UnusableArtifact, match="export already"):
        export_onnx(first.path, OnnxConfig(), tmp_path / "second")


def test_pytorch_teacher_exports_with_its_instance_norm_and_reflection(teacher_file, tmp_path):
    artifact = export_onnx(teacher_file, OnnxConfig(image_size_px=32), tmp_path / "out")
    assert artifact.manifest.scores["parity"]["psnr_db"] > 90
    operators = {node.op_type for node in onnx.load(artifact.model_path).graph.node}
    assert {"InstanceNormalization", "Pad", "ConvTranspose"} <= operators
