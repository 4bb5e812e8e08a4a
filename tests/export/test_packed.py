"""`compress export keras`: a student in half the bytes that every command reads and that trains on."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from compress import artifact, teachers
from compress.errors import ParityError, UnusableArtifact, UnusableModel, UsageError
from compress.images import psnr_db, to_float
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student
from export import parity
from export.inspect.stage import inspect_model
from export.packed import export_keras
from export.source import load_source
from export.tflite.stage import TfliteConfig, export_tflite

LARGEST_STARTER_BYTES = 400_000


@pytest.fixture(scope="module")
def packed(small_artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "student.keras"
    export_keras(small_artifact, out)
    return out


def test_a_packed_student_comes_back_within_rounding_and_in_float32(small_artifact: Path, packed: Path) -> None:
    whole, back = (load_source(path).model for path in (small_artifact, packed))
    assert [layer.name for layer in back.layers] == [layer.name for layer in whole.layers]
    for one, other in zip(whole.get_weights(), back.get_weights(), strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(other, one, rtol=2**-11, atol=2**-24)


def test_keras_itself_opens_the_file_and_trains_on_from_it(packed: Path, photos: list[np.ndarray]) -> None:
    # Layers of the students' own are registered with Keras by now.
    model = keras.saving.load_model(packed, compile=False)
    batch = to_float(np.stack(photos))
    expected = np.stack([load_source(packed).translate(photo) for photo in photos])
    np.testing.assert_allclose(model.predict_on_batch(batch), expected, atol=1e-5)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mae", jit_compile=False, run_eagerly=True)
    losses = [float(model.train_on_batch(batch, -batch)) for _ in range(3)]
    assert losses[-1] < losses[0]


def test_the_result_tells_size_and_parity(small_artifact: Path, tmp_path: Path, photos: list[np.ndarray]) -> None:
    result = export_keras(small_artifact, tmp_path / "student.keras")
    assert result["size_bytes"] == (tmp_path / "student.keras").stat().st_size
    assert result["params"] == artifact.open_artifact(small_artifact).manifest.cost.params
    assert result["parity"]["psnr_db"] >= parity.LEAST_PSNR_DB["fp16"]
    one, other = (load_source(path) for path in (small_artifact, tmp_path / "student.keras"))
    difference = np.stack([one.translate(photo) - other.translate(photo) for photo in photos])
    assert psnr_db(difference) == pytest.approx(result["parity"]["psnr_db"], abs=6)


def test_the_same_student_makes_the_same_bytes(small_artifact: Path, packed: Path, tmp_path: Path) -> None:
    export_keras(small_artifact, tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == packed.read_bytes()


def test_the_manifest_lies_inside(small_artifact: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed) as members:
        inside = json.loads(members.read("manifest.json"))
    assert inside == json.loads((small_artifact / "manifest.json").read_text())


@pytest.mark.parametrize("domain", ["A", "B", "both"])
def test_a_packed_student_is_still_of_its_domain(as_artifact, small_student, tmp_path: Path, domain: str) -> None:
    export_keras(as_artifact(small_student, domain=domain), tmp_path / "student.keras")
    assert load_source(tmp_path / "student.keras").domain == domain


def test_an_ordinary_keras_file_is_of_domain_a(small_student: keras.Model, tmp_path: Path) -> None:
    small_student.save(tmp_path / "plain.keras")
    assert load_source(tmp_path / "plain.keras").domain == "A"


def test_a_trained_unet_of_the_demo_fits_a_starter(as_artifact, randomise, tmp_path: Path) -> None:
    # Random weights are what a file cannot pack further; those of a trained net are hardly less so.
    student = randomise(build_student(PocketConfig(family="unet", image_size_px=32)))
    assert student.count_params() == pytest.approx(170_000, rel=0.01)
    result = export_keras(as_artifact(student), tmp_path / "student.keras")
    assert result["size_bytes"] <= LARGEST_STARTER_BYTES
    assert result["size_bytes"] < 0.42 * (tmp_path / "student" / "model.keras").stat().st_size


def test_a_packed_student_is_inspected_and_exported_as_any_other(packed: Path, tmp_path: Path) -> None:
    report = inspect_model(packed).report
    assert report["size_bytes"] == packed.stat().st_size
    assert report["params"] == load_source(packed).model.count_params()
    exported = export_tflite(packed, TfliteConfig(), tmp_path / "exported")
    assert exported.manifest.parent == artifact.file_fingerprint(packed)


def test_a_packed_student_is_read_as_a_strangers_file_is(packed: Path) -> None:
    assert teachers.describe(packed).source_format == "Keras 3 model (.keras)"


def test_a_weight_beyond_float16_is_refused_by_name_and_leaves_nothing(as_artifact, chain, tmp_path: Path) -> None:
    model = chain([keras.layers.Conv2D(3, 1)])
    model.layers[-1].bias.assign([1e6, 0, 0])
    source = as_artifact(model)
    with pytest.raises(UnusableModel, match="float16 cannot hold"):
        export_keras(source, tmp_path / "student.keras")
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_that_draws_something_else_is_not_left(
    small_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parity.LEAST_PSNR_DB, "fp16", 1000.0)
    with pytest.raises(ParityError, match="float16 file"):
        export_keras(small_artifact, tmp_path / "student.keras")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_packed_is_refused(small_artifact: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.keras"):
        export_keras(small_artifact, tmp_path / "student.h5")
    with pytest.raises(UsageError, match="--overwrite"):
        export_keras(small_artifact, packed)
    exported = export_tflite(small_artifact, TfliteConfig(), tmp_path / "exported")
    with pytest.raises(UnusableArtifact, match="can still be trained"):
        export_keras(exported.path, tmp_path / "student.keras")
    assert not (tmp_path / "student.keras").exists()


def test_the_command_writes_the_file_and_prints_json(command, small_artifact: Path, tmp_path: Path) -> None:
    out = tmp_path / "student.keras"
    finished = command("export", "keras", small_artifact, "--out", out, "--json")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["size_bytes"] == out.stat().st_size
    again = command("export", "keras", small_artifact, "--out", out)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
