"""A student's configuration suited to its teacher."""

from pathlib import Path

import keras
import pytest
from keras import layers

from compress.distill.config import DistillConfig
from compress.run import suited
from compress.run.suited import suit_config


@pytest.fixture
def small_teacher(tmp_path: Path) -> Path:
    """A generator of 64x64 images."""
    image = keras.Input((64, 64, 3))
    keras.Model(image, layers.Conv2D(3, 1, activation="tanh")(image)).save(tmp_path / "teacher.keras")
    return tmp_path / "teacher.keras"


@pytest.fixture(autouse=True)
def faithful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suited, "choose_recipe", lambda *places: "faithful")


def test_a_student_takes_images_of_its_teachers_size(small_teacher: Path, tmp_path: Path) -> None:
    found = suit_config(DistillConfig(), (), small_teacher, tmp_path, tmp_path / "out")
    assert (found.image_size_px, found.gradient_weight) == (64, 0.5)


def test_a_size_that_is_asked_for_stays(small_teacher: Path, tmp_path: Path) -> None:
    asked = DistillConfig(image_size_px=128)
    assert suit_config(asked, ("image_size_px",), small_teacher, tmp_path, tmp_path / "out").image_size_px == 128


def test_a_teacher_of_any_size_leaves_the_usual_one(teacher_file: Path, tmp_path: Path) -> None:
    found = suit_config(DistillConfig(), (), teacher_file, tmp_path, tmp_path / "out")
    assert found.image_size_px == DistillConfig.image_size_px
