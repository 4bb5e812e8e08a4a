"""`compress distill` end to end on a tiny teacher: the contract that every stage keeps."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress import artifact, teachers
from compress.artifact import Artifact
from compress.distill.config import DistillConfig
from compress.distill.stage import distill
from compress.distill.training_data import build
from compress.distill.training_data.build import build_training_data
from compress.errors import UnusableData, UnusableModel, UsageError
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.files.training_folder import training_folder
from compress.training import kid

CONFIG = DistillConfig(
    domain="both", image_size_px=16, width=8, blocks=1, steps=4, batch_size=2, sample_every=2, checkpoint_every=2
)

TEMPLATE = AlignmentTemplate(eyes_y=0.4)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETGAN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def student(teacher_file: Path, photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """One finished student; training even a tiny one takes seconds, so the tests share it.

    It learns from a copy of the photos, beside which it is noted how their faces were aligned.
    """
    data = tmp_path_factory.mktemp("aligned") / "photos"
    shutil.copytree(photo_folders, data)
    (data / "NOTE.json").write_text(json.dumps(record_template(TEMPLATE)))
    return distill(teacher_file, data, CONFIG, tmp_path_factory.mktemp("stage") / "student")


def _weights(student: Artifact) -> list[np.ndarray]:
    return teachers.load(student.path).get_weights()


def test_a_student_is_one_model_with_a_manifest_that_reads_back(student: Artifact, teacher_file: Path) -> None:
    assert sorted(path.name for path in student.path.glob("[!.]*")) == [
        "manifest.json", "model.keras", "samples.png", "training.json",
    ]  # fmt: skip
    manifest = student.manifest
    assert (manifest.stage, manifest.parent, manifest.seed) == ("distill", artifact.file_fingerprint(teacher_file), 0)
    assert manifest.config["width"] == 8
    assert read_template(manifest.config, origin=student.path) == TEMPLATE
    assert manifest.cost.params > 0
    assert manifest.scores["held_back_photos"] == 2
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
    assert (record["kid_to"], record["teacher_kid"]) == (None, None)
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


def test_a_student_may_start_from_an_earlier_one_and_says_so(
    student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path, eagerly: None
) -> None:
    config = dataclasses.replace(CONFIG, init=str(student.path), seed=7, steps=2, learning_rate=1e-9)
    made = distill(teacher_file, photo_folders, config, tmp_path / "student")
    trained = [weight for weight in _weights(made) if weight.ndim == 4]
    for one, other in zip([weight for weight in _weights(student) if weight.ndim == 4], trained, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-6)
    assert made.manifest.config["init"] == str(student.path)
    assert made.manifest.config["init_fingerprint"] == student.fingerprint
    assert student.manifest.config["init"] is None
    assert "init_fingerprint" not in student.manifest.config


def test_an_earlier_student_of_another_shape_is_refused_before_the_photos_are_translated(
    student: Artifact, teacher_file: Path, photo_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    config = dataclasses.replace(CONFIG, init=str(student.path), width=12)
    with pytest.raises(UsageError, match="layer 1 of"):
        distill(teacher_file, photo_folders, config, tmp_path / "student")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def many_photos(photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty photos a domain, so that four are held back; the same dozen under many names."""
    root = tmp_path_factory.mktemp("many")
    for folder in ("trainA", "trainB"):
        (root / folder).mkdir()
        files = sorted((photo_folders / folder).iterdir())
        for number in range(40):
            (root / folder / f"{number:03d}.png").write_bytes(files[number % len(files)].read_bytes())
    return root


def test_a_student_is_chosen_by_kid_to_real_images_that_its_discriminator_never_sees(
    teacher_file: Path, many_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eagerly: None
) -> None:
    means = iter([0.1, 0.3, 0.9])
    real: list[int] = []

    def measure(fake: np.ndarray, folder: Path, scratch: Path, *, network: str) -> kid.Kid:
        real.append(len(list(folder.glob("*.png"))))
        return kid.Kid(mean=next(means), spread=0.05, metric="kid", network="inception")

    def watched(paths: list[Path], real_paths: list[Path], *rest: Any) -> Any:
        seen.extend(real_paths)
        return build_training_data(paths, real_paths, *rest)

    seen: list[Path] = []
    monkeypatch.setattr(kid, "measure_kid", measure)
    monkeypatch.setattr(kid, "check_scoring_available", lambda: None)
    monkeypatch.setattr(build, "build_training_data", watched)
    config = dataclasses.replace(
        CONFIG, domain="A", image_size_px=32, adversarial_weight=1.0, discriminator="patch", discriminator_filters=4
    )
    made = distill(teacher_file, many_photos, config, tmp_path / "student")
    assert real == [4, 4, 4]
    assert len(set(seen)) == 36
    record = json.loads((made.path / "training.json").read_text())
    assert record["teacher_kid"]["mean"] == 0.1
    assert record["kid_to"] == "real"
    assert [point["kid"]["mean"] for point in record["history"]] == [0.3, 0.9]
    assert record["chosen"]["step"] == 2
    assert record["chosen"]["because"] == "the lowest KID 0.3000 ± 0.0500 at step 2"
    assert made.manifest.scores == {
        "held_back_photos": 4,
        "held_back_psnr_db": round(record["history"][0]["held_back_psnr_db"], 3),
        "held_back_kid": 0.3,
        "held_back_kid_spread": 0.05,
    }


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
    unseen = DistillConfig(image_size_px=32, perceptual_weight=1.0, perceptual_network="nosuch.keras")
    with pytest.raises(UsageError, match=r"nosuch\.keras"):
        distill(teacher_file, photo_folders, unseen, out)
    assert not training_folder(out).exists()
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
