"""Any model over a folder: one PNG for each photo, what the model itself makes of it, all or nothing."""

import json
import shutil

import numpy as np
import pytest
from keras import layers

from compress.artifact import open_artifact
from compress.errors import UnusableData, UnusableModel, UsageError
from compress.images import list_images, read_image, to_float, to_uint8, write_png
from compress.teachers.packed import pack_student
from export.config import IoType, TfliteConfig, TranslateConfig
from export.tflite.stage import export_tflite
from export.translate import translate


def picture(model, photo: np.ndarray) -> np.ndarray:
    return to_uint8(np.asarray(model(to_float(photo)[np.newaxis]))[0])


def test_keras_artifact_translates_every_photo(small_student, as_artifact, photos, photo_folder, tmp_path):
    result = translate(as_artifact(small_student), photo_folder, tmp_path / "out", TranslateConfig())
    assert result == {"out": str(tmp_path / "out"), "images": 8, "skipped": 0, "height_px": 32, "width_px": 32}
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == [f"photo{index}.png" for index in range(8)]
    written = read_image(tmp_path / "out" / "photo3.png")
    assert np.abs(written.astype(int) - picture(small_student, photos[3])).max() <= 1


@pytest.mark.parametrize("io_type", ["float", "int8", "uint8"])
def test_int8_file_translates_close_to_its_source(
    small_student, as_artifact, photos, photo_folder, tmp_path, io_type: IoType
):
    config = TfliteConfig(precision="int8", data=photo_folder, io_type=io_type)
    artifact = export_tflite(as_artifact(small_student), config, tmp_path / "int8")
    for name, model in (("from artifact", artifact.path), ("from file", artifact.model_path)):
        translate(model, photo_folder, tmp_path / name, TranslateConfig(threads=1))
        written = read_image(tmp_path / name / "photo0.png").astype(int)
        assert np.abs(written - picture(small_student, photos[0])).mean() < 4


def test_photos_are_cropped_and_resized_to_the_model(small_student, as_artifact, tmp_path):
    (tmp_path / "in").mkdir()
    write_png(tmp_path / "in" / "wide.png", np.full((50, 90, 3), 200, np.uint8))
    translate(as_artifact(small_student), tmp_path / "in", tmp_path / "out", TranslateConfig())
    assert read_image(tmp_path / "out" / "wide.png").shape == (32, 32, 3)


def test_free_size_teacher_needs_a_size(chain, as_artifact, photo_folder, tmp_path):
    model = as_artifact(chain([layers.Conv2D(3, 3, padding="same")], (None, None, 3)))
    with pytest.raises(UsageError, match="--image-size-px"):
        translate(model, photo_folder, tmp_path / "out", TranslateConfig())
    result = translate(model, photo_folder, tmp_path / "out", TranslateConfig(image_size_px=16))
    assert (result["height_px"], result["width_px"]) == (16, 16)


def test_wrong_size_for_a_file_is_refused(small_student, as_artifact, photo_folder, tmp_path):
    artifact = export_tflite(as_artifact(small_student), TfliteConfig(), tmp_path / "file")
    with pytest.raises(UsageError, match="takes 32x32 images"):
        translate(artifact.path, photo_folder, tmp_path / "out", TranslateConfig(image_size_px=64))


def test_two_photos_of_one_stem_are_refused(small_student, as_artifact, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("cat.png", "cat.jpg"):
        write_png(tmp_path / "in" / name, np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(
        UnusableData, match=r"cat\.jpg and .*cat\.png share a stem: what is made of each would be named cat\.png"
    ):
        translate(as_artifact(small_student), tmp_path / "in", tmp_path / "out", TranslateConfig())


def test_photos_that_are_not_read_are_not_left_out(photo_folder, tmp_path):
    shutil.copytree(photo_folder, tmp_path / "in")
    (tmp_path / "in" / "IMG_1.HEIC").touch()
    with pytest.raises(UnusableData, match=r"photos in .*in would be left out(.|\n)*1 HEIC file"):
        translate(tmp_path / "no model", tmp_path / "in", tmp_path / "out", TranslateConfig())
    assert not (tmp_path / "out").exists()


def test_broken_photos_beyond_one_leave_nothing_behind(small_student, as_artifact, photo_folder, tmp_path):
    (tmp_path / "in").mkdir()
    for path in photo_folder.iterdir():
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "in" / "torn.png").write_bytes(b"torn")
    model = as_artifact(small_student)
    result = translate(model, tmp_path / "in", tmp_path / "one", TranslateConfig())
    assert (result["images"], result["skipped"]) == (8, 1)
    (tmp_path / "in" / "worse.png").write_bytes(b"torn")
    with pytest.raises(UnusableData):
        translate(model, tmp_path / "in", tmp_path / "two", TranslateConfig())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "one", model.name]


@pytest.mark.parametrize("content", [b"", b"torn", b"TFL3" * 100])
def test_torn_file_is_refused(photo_folder, tmp_path, content: bytes):
    (tmp_path / "torn.tflite").write_bytes(content)
    with pytest.raises(UnusableModel, match=r"torn\.tflite"):
        translate(tmp_path / "torn.tflite", photo_folder, tmp_path / "out", TranslateConfig())


def test_images_of_a_student_with_pretrained_eyes_say_so(small_student, as_artifact, photo_folder, tmp_path):
    seen = {"perceptual_weight": 1.0, "perceptual_network": "efficientnet-lite2"}
    student = as_artifact(small_student, **seen)
    exported = export_tflite(student, TfliteConfig(), tmp_path / "exported")
    packed = tmp_path / "packed.keras"
    pack_student(open_artifact(student), packed)
    models = {"keras": student, "tflite": exported.path, "file": exported.model_path, "packed": packed}
    assert export_tflite(packed, TfliteConfig(), tmp_path / "again").manifest.trained_with == "efficientnet-lite2"
    for name, model in models.items():
        result = translate(model, photo_folder, tmp_path / name, TranslateConfig())
        assert (result["images"], len(list_images(tmp_path / name))) == (8, 8)
        record = json.loads((tmp_path / name / "translation.json").read_text())
        assert record == {"model": model.name, "trained_with": "efficientnet-lite2"}
