"""The contract of a stage: one model and a valid manifest out, input untouched, same seed same bytes, or nothing."""

from dataclasses import replace

import numpy as np
import pytest
from keras import layers
from PIL import Image

from compress.artifact import file_fingerprint, open_artifact
from compress.errors import ParityError, UnsupportedLayer, UnusableArtifact, UsageError
from compress.images.sheet import LABEL_PX
from export import parity
from export.config import TfliteConfig
from export.interpreter.litert import TfliteGenerator
from export.tflite.stage import export_tflite


@pytest.fixture
def int8(photo_folder) -> TfliteConfig:
    return TfliteConfig(precision="int8", data=photo_folder, calibration_images=4)


def test_int8_artifact_is_whole_and_tells_what_it_is(small_student, as_artifact, int8, photos, tmp_path):
    source = as_artifact(small_student, domain="both")
    before = file_fingerprint(source)
    artifact = export_tflite(source, int8, tmp_path / "out")
    manifest = open_artifact(tmp_path / "out").manifest
    assert file_fingerprint(source) == before
    assert (manifest.format, manifest.stage, manifest.name) == ("tflite", "export", "out")
    assert manifest.parent == open_artifact(source).fingerprint
    assert (manifest.input.shape, manifest.input.dtype, manifest.input.range) == ((32, 32, 3), "float32", (-1.0, 1.0))
    assert manifest.config["calibration_images"] == 4
    assert manifest.config["domain"] == "both"
    assert manifest.cost.size_bytes == artifact.model_path.stat().st_size
    assert manifest.cost.macs
    assert manifest.quantization is not None
    assert manifest.quantization["image"] == {"scale": 1 / 128, "zero_point": 0}
    assert manifest.scores["parity"]["share_within_a_step"] >= 0.999
    assert manifest.scores["xnnpack"] == {**manifest.scores["xnnpack"], "partitions": 1, "undelegated": {}}
    assert TfliteGenerator.open(artifact.model_path).translate(photos[0]).shape == (32, 32, 3)
    with Image.open(tmp_path / "out" / "samples.png") as sheet:
        assert sheet.size == (3 * 36 + 4, LABEL_PX + 4 * 36 + 4)
    assert sorted(path.name for path in (tmp_path / "out").glob("[!.]*")) == [
        "manifest.json",
        "model.tflite",
        "model_card.md",
        "samples.png",
    ]


@pytest.mark.parametrize(
    ("io_type", "dtype", "pixel_range"), [("int8", "int8", (-128.0, 127.0)), ("uint8", "uint8", (0.0, 255.0))]
)
def test_manifest_names_the_integer_ends(small_student, as_artifact, int8, tmp_path, io_type, dtype, pixel_range):
    manifest = export_tflite(as_artifact(small_student), replace(int8, io_type=io_type), tmp_path / "out").manifest
    assert (manifest.input.dtype, manifest.input.range) == (dtype, pixel_range)


def test_dynamic_range_needs_no_photos_and_is_a_quarter_of_the_float_file(chain, as_artifact, tmp_path):
    source = as_artifact(
        chain([layers.Conv2D(64, 3, padding="same"), layers.Conv2D(64, 3, padding="same"), layers.Conv2D(3, 1)])
    )
    whole, dynamic = (
        export_tflite(source, TfliteConfig(precision=precision), tmp_path / precision).manifest
        for precision in ("fp32", "dynamic")
    )
    assert dynamic.cost.size_bytes < 0.3 * whole.cost.size_bytes
    assert dynamic.scores["parity"]["psnr_db"] > 30
    assert dynamic.quantization is None


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(small_student, as_artifact, int8, tmp_path):
    source = as_artifact(small_student)
    contents = [
        export_tflite(source, replace(int8, seed=seed), tmp_path / name).model_path.read_bytes()
        for name, seed in (("first", 0), ("second", 0), ("third", 1))
    ]
    assert contents[0] == contents[1] != contents[2]


def test_float_export_needs_no_photos(small_student, as_artifact, tmp_path):
    manifest = export_tflite(as_artifact(small_student), TfliteConfig(), tmp_path / "out").manifest
    assert manifest.scores["parity"]["material"] == "synthetic"
    assert manifest.quantization is None
    assert not (tmp_path / "out" / "samples.png").exists()


def test_free_size_model_needs_a_size(chain, as_artifact, tmp_path):
    source = as_artifact(chain([layers.Conv2D(3, 3, padding="same"), layers.Activation("tanh")], (None, None, 3)))
    with pytest.raises(UsageError, match="--image-size-px"):
        export_tflite(source, TfliteConfig(), tmp_path / "out")
    manifest = export_tflite(source, TfliteConfig(image_size_px=24), tmp_path / "out").manifest
    assert manifest.input.shape == (24, 24, 3)


def test_other_size_than_the_model_takes_is_a_wrong_flag(small_student, as_artifact, tmp_path):
    with pytest.raises(UsageError, match="takes 32x32 images"):
        export_tflite(as_artifact(small_student), TfliteConfig(image_size_px=64), tmp_path / "out")


def test_training_photos_of_the_models_domain_calibrate_it(small_student, as_artifact, photo_folders, tmp_path):
    config = TfliteConfig(precision="int8", data=photo_folders, calibration_images=3)
    contents = [
        export_tflite(as_artifact(small_student, f"student{domain}", domain=domain), config, tmp_path / domain)
        for domain in ("A", "B")
    ]
    ranges = [artifact.manifest.quantization for artifact in contents]
    assert ranges[0] != ranges[1]


def test_nothing_is_written_when_parity_fails(small_student, as_artifact, int8, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.LEAST_PSNR_DB, "int8", 200.0)
    source = as_artifact(small_student)
    with pytest.raises(ParityError, match="Nothing was written"):
        export_tflite(source, int8, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_unsupported_layer_writes_nothing(chain, as_artifact, tmp_path):
    source = as_artifact(chain([layers.Conv2D(3, 1), layers.LayerNormalization(name="odd")]))
    with pytest.raises(UnsupportedLayer, match="layer odd"):
        export_tflite(source, TfliteConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_export_of_an_export_is_refused(small_student, as_artifact, tmp_path):
    first = export_tflite(as_artifact(small_student), TfliteConfig(), tmp_path / "first")
    with pytest.raises(UnusableArtifact, match="export already"):
        export_tflite(first.path, TfliteConfig(), tmp_path / "second")


def test_torn_model_is_refused(small_student, as_artifact, tmp_path):
    source = as_artifact(small_student)
    model = source / "model.keras"
    model.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(UnusableArtifact, match="truncated or damaged"):
        export_tflite(source, TfliteConfig(), tmp_path / "out")


def test_pytorch_teacher_exports_with_its_instance_norm(teacher_file, tmp_path):
    manifest = export_tflite(teacher_file, TfliteConfig(image_size_px=32), tmp_path / "out").manifest
    assert manifest.scores["parity"]["psnr_db"] > 90
    assert manifest.scores["xnnpack"] == {**manifest.scores["xnnpack"], "partitions": 1, "undelegated": {}}


def test_calibration_photos_are_bounded_by_their_folder(small_student, as_artifact, int8, tmp_path):
    artifact = export_tflite(as_artifact(small_student), replace(int8, calibration_images=1000), tmp_path / "out")
    assert np.isfinite(artifact.manifest.scores["parity"]["psnr_db"])
