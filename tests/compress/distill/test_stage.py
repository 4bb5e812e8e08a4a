"""`compress distill` end to end on a tiny teacher: the contract that every stage keeps."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from compress import artifact, teachers
from compress.artifact import Artifact
from compress.distill.config import DistillConfig
from compress.distill.stage import distill
from compress.errors import UnusableData, UnusableModel, UsageError

CONFIG = DistillConfig(
    domain="both", image_size_px=16, width=8, blocks=1, steps=4, batch_size=2, sample_every=2, checkpoint_every=2
)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETGAN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def student(teacher_file: Path, photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One finished student; training even a tiny one takes seconds, so the tests share it."""
    return distill(teacher_file, photo_folders, CONFIG, tmp_path_factory.mktemp("stage") / "student")


def _weights(student: Artifact) -> list[np.ndarray]:
    return teachers.load(student.path).get_weights()


def test_a_student_is_one_model_with_a_manifest_that_reads_back(student: Artifact, teacher_file: Path) -> None:
    assert sorted(path.name for path in student.path.iterdir()) == [
        "manifest.json", "model.keras", "samples.png", "training.json",
    ]  # fmt: skip
    manifest = student.manifest
    assert (manifest.stage, manifest.parent, manifest.seed) == ("distill", artifact.file_fingerprint(teacher_file), 0)
    assert manifest.config["width"] == 8
    assert manifest.cost.params > 0
    assert manifest.scores["held_back_psnr_db"] > 0
    assert teachers.load(student.path).input_shape == (None, 16, 16, 3)
    assert not (student.path.parent / "student.training").exists()


def test_a_student_keeps_the_curve_and_the_speed_of_its_training(student: Artifact) -> None:
    record = json.loads((student.path / "training.json").read_text())
    history = record["history"]
    assert record["images_per_s"] > 0
    assert [point["step"] for point in history] == [2, 4]
    assert all(point["held_back_psnr_db"] > 0 for point in history)
    assert all(point["weights"] in ("averaged", "raw") for point in history)
    # Of twenty-four photos two are held back: too few for KID.
    assert [point["kid"] for point in history] == [None, None]
    assert record["teacher_kid"] is None
    assert record["chosen"] == {"step": 4, "because": "the last step, since KID was not measured"}
    assert record["stopped"] is None
    assert student.manifest.scores["held_back_psnr_db"] == round(history[-1]["held_back_psnr_db"], 3)


def test_the_same_command_gives_the_same_student_and_touches_no_input(
    student: Artifact, teacher_file: Path, photo_folders: Path, cache: Path, tmp_path: Path
) -> None:
    inputs = artifact.file_fingerprint(teacher_file), artifact.file_fingerprint(photo_folders)
    written = {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")}
    again = distill(teacher_file, photo_folders, CONFIG, tmp_path / "again")
    for one, same in zip(_weights(student), _weights(again), strict=True):
        np.testing.assert_allclose(same, one, rtol=1e-5, atol=1e-6)
    assert (artifact.file_fingerprint(teacher_file), artifact.file_fingerprint(photo_folders)) == inputs
    # Twenty-four photos, each translated once: the second student took them from the cache.
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.png")} == written
    assert len(written) == 24


def test_another_seed_gives_another_student(
    student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    other = distill(teacher_file, photo_folders, dataclasses.replace(CONFIG, seed=1), tmp_path / "other")
    assert any(not np.allclose(one, two) for one, two in zip(_weights(student), _weights(other), strict=True))


def test_every_loss_at_once_trains_a_student_and_leaves_nothing_of_itself_in_it(
    student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path, eagerly: None
) -> None:
    config = DistillConfig(
        image_size_px=32, width=8, blocks=1, steps=3, batch_size=2, sample_every=3, checkpoint_every=1,
        ms_ssim_weight=1.0, total_variation_weight=1e-5, gram_weight=10.0, feature_weight=1.0, channel_weight=1.0,
        hint_weight=1.0, hint_depth="trunk", matching_weight=1.0, discriminator_crop_px=32, adversarial_weight=1.0,
        discriminator="patch", adversarial_from_step=1, discriminator_filters=4, discriminator_hold_ratio=0.5,
        l1_final_scale=0.1, precision="float32",
    )  # fmt: skip
    made = distill(teacher_file, photo_folders, config, tmp_path / "student")
    assert made.manifest.config["adversarial_from_step"] == 1
    assert made.manifest.cost.params == student.manifest.cost.params
    assert all(np.isfinite(weight).all() for weight in _weights(made))
    assert sorted(path.name for path in made.path.iterdir()) == sorted(path.name for path in student.path.iterdir())


def test_settings_that_were_left_to_the_family_are_in_the_manifest_as_it_chose_them(
    teacher_file: Path, photo_folders: Path, tmp_path: Path, eagerly: None
) -> None:
    config = dataclasses.replace(CONFIG, family="unet", image_skip=False, steps=2)
    made = distill(teacher_file, photo_folders, config, tmp_path / "student")
    assert (made.manifest.config["kernel_size"], made.manifest.config["upsampler"]) == (5, "depth_to_space")


def test_a_student_may_start_from_its_teachers_own_layers(
    teacher_file: Path, photo_folders: Path, tmp_path: Path, eagerly: None
) -> None:
    config = dataclasses.replace(CONFIG, from_teacher=True, steps=2, learning_rate=1e-9)
    made = teachers.load(distill(teacher_file, photo_folders, config, tmp_path / "student").path)
    teacher = teachers.load(teacher_file)
    # Not moved by so small steps, and BatchNorm, whose statistics are those of the photos, in place of InstanceNorm.
    kernels = [[one for one in model.get_weights() if one.ndim == 4] for model in (made, teacher)]
    for one, other in zip(*kernels, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    norms = [layer for layer in made.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert all(np.any(layer.moving_mean != 0) for layer in norms)


def test_a_teacher_that_a_loss_cannot_look_through_is_refused_before_it_translates(
    photo_folders: Path, cache: Path, tmp_path: Path
) -> None:
    image = keras.Input((32, 32, 3))
    flat = keras.Model(image, keras.layers.Conv2D(3, 3, padding="same", activation="tanh")(image))
    flat.save(tmp_path / "flat.keras")
    before = set(cache.rglob("*.png"))
    config = dataclasses.replace(CONFIG, image_size_px=32, feature_weight=1.0)
    with pytest.raises(UnusableModel, match="feature_weight"):
        distill(tmp_path / "flat.keras", photo_folders, config, tmp_path / "student")
    assert set(cache.rglob("*.png")) == before


def test_what_cannot_work_is_refused_before_training(teacher_file: Path, photo_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 not a zip")
    out = tmp_path / "student"
    with pytest.raises(UsageError, match="--overwrite"):
        distill(teacher_file, photo_folders, CONFIG, tmp_path / "taken")
    with pytest.raises(UnusableData, match="nowhere"):
        distill(teacher_file, tmp_path / "nowhere", CONFIG, out)
    with pytest.raises(UnusableModel, match=r"broken\.pth"):
        distill(tmp_path / "broken.pth", photo_folders, CONFIG, out)
    assert not out.exists()


def test_a_teacher_of_another_size_is_refused_with_the_flag_to_change(
    student: Artifact, photo_folders: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="--image-size-px 16"):
        distill(student.path, photo_folders, dataclasses.replace(CONFIG, image_size_px=32), tmp_path / "second")
