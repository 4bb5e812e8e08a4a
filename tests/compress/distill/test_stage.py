"""`compress distill` end to end on a tiny teacher: the contract that every stage keeps."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from compress import artifact, teachers
from compress.distill import teacher_images
from compress.distill.config import DistillConfig
from compress.distill.stage import distill
from compress.errors import UnusableData, UnusableModel, UsageError

CONFIG = DistillConfig(
    domain="both", image_size_px=16, width=8, blocks=1, steps=4, batch_size=2, sample_every=2, checkpoint_every=2
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))


def _weights(student: artifact.Artifact) -> list[np.ndarray]:
    return teachers.load(student.path).get_weights()


def test_a_student_is_one_model_with_a_manifest_that_reads_back(
    teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    before = artifact.file_fingerprint(teacher_file), artifact.file_fingerprint(photo_folders)
    student = distill(teacher_file, photo_folders, CONFIG, tmp_path / "student")
    assert sorted(path.name for path in student.path.iterdir()) == ["manifest.json", "model.keras", "samples.png"]
    manifest = student.manifest
    assert (manifest.stage, manifest.parent, manifest.seed) == ("distill", before[0], 0)
    assert manifest.config["width"] == 8
    assert manifest.cost.params > 0
    assert manifest.scores["held_back_psnr_db"] > 0
    assert teachers.load(student.path).input_shape == (None, 16, 16, 3)
    assert (artifact.file_fingerprint(teacher_file), artifact.file_fingerprint(photo_folders)) == before
    assert not (tmp_path / "student.training").exists()


def test_the_same_seed_gives_the_same_student_and_another_seed_another(
    teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    made = [
        _weights(distill(teacher_file, photo_folders, dataclasses.replace(CONFIG, seed=seed), tmp_path / name))
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    ]
    for one, same in zip(made[0], made[1], strict=True):
        np.testing.assert_allclose(same, one, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(one, other) for one, other in zip(made[0], made[2], strict=True))


def test_a_teacher_is_asked_once_for_each_photo(teacher_file: Path, photo_folders: Path, tmp_path: Path) -> None:
    distill(teacher_file, photo_folders, CONFIG, tmp_path / "one")
    cache = teacher_images.cache_folder(artifact.file_fingerprint(teacher_file), 16)
    written = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    distill(teacher_file, photo_folders, CONFIG, tmp_path / "two")
    assert {path: path.stat().st_mtime_ns for path in cache.iterdir()} == written
    assert len(written) == 24


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
    teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    student = distill(teacher_file, photo_folders, CONFIG, tmp_path / "student")
    with pytest.raises(UsageError, match="--image-size-px 16"):
        distill(student.path, photo_folders, dataclasses.replace(CONFIG, image_size_px=32), tmp_path / "second")
