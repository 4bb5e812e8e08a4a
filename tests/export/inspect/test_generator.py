"""The facts that `compress inspect` reports of each kind of model."""

import json
from pathlib import Path

import keras
import pytest
from keras import layers

from compress.artifact import Cost, Format, ImageSpec, Manifest, write_manifest
from compress.errors import UnusableModel
from compress.models.layers import InstanceNormalization, ReflectionPadding2D
from export.inspect.stage import exported_model_of, format_report, read_facts


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    """A residual generator with what phones do not run: reflection padding, InstanceNorm, nearest resizing."""
    image = keras.Input((None, None, 3))
    features = InstanceNormalization()(layers.Conv2D(8, 4, strides=2, padding="same")(image))
    block = InstanceNormalization()(layers.Conv2D(8, 3)(ReflectionPadding2D(((1, 1), (1, 1)))(features)))
    grown = layers.UpSampling2D(interpolation="nearest")(layers.Add()([features, block]))
    path = tmp_path / "teacher.keras"
    keras.Model(image, layers.Conv2D(3, 3, padding="same")(grown)).save(path)
    return path


def test_report_names_what_will_not_run_on_a_phone_and_why(teacher):
    report = read_facts(teacher, image_size_px=64)
    issues = {issue["kind"]: issue for issue in report["phone_issues"]}
    assert {kind: issue["count"] for kind, issue in issues.items()} == {
        "InstanceNormalization": 2,
        "UpSampling2D (nearest)": 1,
    }
    assert "RESIZE_NEAREST_NEIGHBOR" in issues["UpSampling2D (nearest)"]["why"]
    assert "compress distill" in issues["InstanceNormalization"]["what_to_do"]


def test_report_holds_format_cost_and_structure(teacher):
    report = read_facts(teacher, image_size_px=64)
    assert report["source_format"] == "Keras 3 model (.keras)"
    assert report["input_shape"] == [None, None, 3]
    assert report["params"] == 8 * 48 + 8 + 16 + 8 * 72 + 8 + 16 + 3 * 72 + 3
    assert report["macs"] == 32 * 32 * (8 * 48 + 8 * 72) + 64 * 64 * 3 * 72
    assert report["macs_at_px"] == [64, 64]
    assert report["size_bytes"] == teacher.stat().st_size
    assert report["predicted_size_bytes"]["fp32"] == 4 * report["params"]
    assert report["predicted_size_bytes"]["int8"] > 8 * 48 + 8 * 72 + 3 * 72 + 28 * (8 + 8 + 3)
    assert (report["norm"], report["residual_blocks"], report["skip_connections"]) == ("instance", 1, 0)
    assert report["layers"]["Conv2D"] == 3
    assert json.loads(json.dumps(report)) == report


def test_free_size_model_is_counted_at_the_usual_size(teacher):
    assert read_facts(teacher)["macs_at_px"] == [256, 256]


def test_text_shows_numbers_and_issues_to_people(teacher):
    text = format_report(read_facts(teacher))
    for words in ("Keras 3 model (.keras)", "any x any x 3", "at 256x256", "1 residual", "RESIZE_NEAREST", "-> export"):
        assert words in text


def write_artifact(folder: Path, model_format: Format, model: bytes | keras.Model) -> Path:
    folder.mkdir()
    if isinstance(model, bytes):
        (folder / f"model.{model_format}").write_bytes(model)
    else:
        model.save(folder / f"model.{model_format}")
    cost = Cost(params=1234, macs=56_000_000, size_bytes=1000)
    spec = ImageSpec(shape=(8, 8, 3), dtype="int8")
    manifest = Manifest(
        name="pocket", format=model_format, stage="export", parent="f00d", input=spec, cost=cost, scores={"kid": 0.5}
    )
    write_manifest(folder, manifest)
    return folder


def test_exported_artifact_is_described_by_its_manifest(tmp_path):
    report = read_facts(write_artifact(tmp_path / "export", "tflite", b"0123456789"))
    assert (report["stage"], report["parent"], report["scores"]) == ("export", "f00d", {"kid": 0.5})
    assert (report["params"], report["macs"], report["size_bytes"]) == (1234, 56_000_000, 10)
    assert "8 x 8 x 3 int8" in format_report(report)


def test_student_that_phones_run_whole_has_no_issue(tmp_path):
    image = keras.Input((8, 8, 3))
    student = keras.Model(image, layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(image)))
    report = read_facts(write_artifact(tmp_path / "student", "keras", student))
    assert report["phone_issues"] == []
    assert report["norm"] == "batch"
    assert "every layer runs in a phone's int8 kernels" in format_report(report)


@pytest.mark.parametrize("name", ["missing.tflite", "missing.h5"])
def test_missing_file_is_refused(tmp_path, name):
    with pytest.raises(UnusableModel, match="does not exist"):
        read_facts(tmp_path / name)


def test_broken_tflite_is_refused(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 and nothing more")
    with pytest.raises(UnusableModel, match=r"broken\.tflite: it is no \.tflite"):
        read_facts(tmp_path / "broken.tflite")


def test_core_ml_package_is_taken_by_itself_and_out_of_an_artifact(tmp_path):
    package = tmp_path / "bare.mlpackage"
    (package / "Data").mkdir(parents=True)
    with pytest.raises(UnusableModel, match=r"Manifest\.json"):
        read_facts(package)
    (package / "Manifest.json").write_text("{}")
    (package / "Data/weight.bin").write_bytes(b"12345678")
    assert read_facts(package) == {"path": str(package), "format": "mlpackage", "size_bytes": 10}
    artifact = write_artifact(tmp_path / "export", "mlpackage", b"a file stands for the folder")
    assert exported_model_of(package) == package
    assert exported_model_of(artifact) == artifact / "model.mlpackage"


def test_a_package_is_no_artifact_where_case_does_not_count(tmp_path):
    # macOS: there the package's own Manifest.json answers to manifest.json.
    package = tmp_path / "bare.mlpackage"
    package.mkdir()
    for name in ("Manifest.json", "manifest.json"):
        (package / name).write_text("{}")
    assert read_facts(package)["format"] == "mlpackage"
    assert exported_model_of(package) == package
