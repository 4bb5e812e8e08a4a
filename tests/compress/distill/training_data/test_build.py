"""Training data: the teacher is built where an image is missing or a loss looks through it, and nowhere else."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress import images, teachers
from compress.distill.config import FitConfig
from compress.distill.training_data import build
from compress.distill.training_data.build import TrainingData, build_training_data

PLAIN = FitConfig(precision="float32")


@pytest.fixture
def collect(teacher_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainingData]:
    """Build training data of so many photos in a new folder, with a cache that starts empty."""
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    description = teachers.describe(teacher_file)
    random = np.random.default_rng(0)
    for number in range(3):
        images.write_png(tmp_path / f"{number}.png", random.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    photos = sorted(tmp_path.glob("*.png"))

    def call(count: int = 2, config: FitConfig = PLAIN) -> TrainingData:
        return build_training_data(photos[:count], [], description, config, tmp_path / f"work{count}", 32)

    return call


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The teachers that are built."""
    made: list[object] = []

    def watched(description: object) -> object:
        made.append(original(description))  # pyright: ignore[reportArgumentType]
        return made[-1]

    original = build.build_generator
    monkeypatch.setattr(build, "build_generator", watched)
    return made


def test_a_second_student_of_a_teacher_needs_no_teacher(collect, built: list[object]) -> None:
    first = collect()
    assert len(built) == 1
    second = collect()
    assert len(built) == 1
    np.testing.assert_array_equal(first.pairs.targets, second.pairs.targets)
    assert second.teacher(needed=False) is None
    assert len(built) == 1


def test_one_missing_image_is_made_by_the_teacher(collect, built: list[object]) -> None:
    collect()
    more = collect(3)
    assert len(built) == 2
    assert more.pairs.targets[2].any()
    np.testing.assert_array_equal(more.pairs.targets[2], _translate(built[1], more.pairs.photos[2]))


def test_losses_that_look_through_the_teacher_get_the_one_that_was_checked(collect, built: list[object]) -> None:
    collect()
    looking = collect(config=FitConfig(precision="float32", feature_weight=1.0))
    assert len(built) == 2
    assert looking.teacher(needed=True) is built[1]
    assert len(built) == 2


def _translate(teacher: object, photo: np.ndarray) -> np.ndarray:
    made = teacher(images.to_float(photo[None]))  # pyright: ignore[reportCallIssue]
    return images.to_uint8(np.asarray(made))[0]
