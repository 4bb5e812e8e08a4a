"""Training of a student on pairs: which weights it ends with, and that a kill in between changes nothing."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from compress.distill.config import FitConfig
from compress.distill.fit import FittedStudent, fit
from compress.distill.training_data.build import TrainingData
from compress.distill.training_data.pairs import Pairs
from compress.distill.watch.history import History
from compress.distill.watch.pictures import translate_held_back
from compress.distill.watch.reference import Watch
from compress.models.io import clone
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student
from compress.training import kid
from compress.training.kid import Kid

SHAPE = PocketConfig(image_size_px=16, width=8, blocks=1)
CONFIG = FitConfig(
    steps=6, batch_size=4, warmup_steps=1, sample_every=2, checkpoint_every=1, ssim_weight=0, gradient_weight=0,
    precision="float32",
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture(scope="module")
def training_data() -> TrainingData:
    """Forty-eight noisy photos, four of them held back; the teacher inverts their colours."""
    photos = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3)).astype(np.uint8)
    image = keras.Input((16, 16, 3))
    teacher = keras.Model(image, -image)
    return TrainingData(Pairs(photos, 255 - photos, np.arange(48)), lambda: teacher, None)


@pytest.fixture
def run(training_data: TrainingData) -> Callable[..., FittedStudent]:
    def call(work: Path, config: FitConfig = CONFIG, watch: Watch | None = None) -> FittedStudent:
        work.mkdir(exist_ok=True)
        return fit(training_data, config, work, "same", start=lambda: build_student(SHAPE), watch=watch, name="test")

    return call


@pytest.mark.parametrize("learning_rate", [1e-3, 0.1])
def test_the_student_is_as_good_as_the_last_point_of_its_curve(
    run: Callable[..., FittedStudent], training_data: TrainingData, tmp_path: Path, learning_rate: float
) -> None:
    fitted = run(tmp_path / "work", dataclasses.replace(CONFIG, learning_rate=learning_rate))
    last = fitted.history.points[-1]
    assert last.step == CONFIG.steps
    assert fitted.held_back_psnr_db == last.held_back_psnr_db
    _, held_back = training_data.pairs.split(CONFIG.holdout, CONFIG.seed)
    assert translate_held_back(fitted.student, held_back).psnr_db == fitted.held_back_psnr_db
    assert fitted.stopped is None
    assert fitted.images_per_s is not None


def _plant_kids(monkeypatch: pytest.MonkeyPatch, means: list[float], *, killed_at: int | None = None) -> None:
    """In place of scoring: these means in turn; at one of them the run is killed."""
    coming = iter(enumerate(means))

    def measure(*_: object, **__: object) -> Kid:
        number, mean = next(coming)
        if number == killed_at:
            raise KeyboardInterrupt
        return Kid(mean=mean, spread=0.1, metric="kid", network="inception")

    monkeypatch.setattr(kid, "measure_kid", measure)


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_run_killed_while_it_is_measured_ends_with_the_same_choice(
    run: Callable[..., FittedStudent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    means = [0.9, 0.5, 0.8]
    _plant_kids(monkeypatch, means)
    whole = run(tmp_path / "whole", watch=Watch())
    assert whole.history.chosen is not None
    assert whole.history.chosen.step == 4
    _plant_kids(monkeypatch, means, killed_at=killed_at)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", watch=Watch())
    _plant_kids(monkeypatch, means[killed_at:])
    resumed = run(tmp_path / "killed", watch=Watch())
    assert [point.kid for point in resumed.history.points] == [point.kid for point in whole.history.points]
    assert resumed.held_back_psnr_db == whole.history.chosen.held_back_psnr_db
    for one, other in zip(whole.student.get_weights(), resumed.student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
    np.testing.assert_array_equal(resumed.sheet, whole.sheet)


def test_a_training_that_stalls_ends_early_with_the_best_weights(
    run: Callable[..., FittedStudent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant_kids(monkeypatch, [0.2, 0.5])
    fitted = run(tmp_path / "work", watch=Watch(patience=1))
    assert [point.step for point in fitted.history.points] == [2, 4]
    assert fitted.stopped is not None
    assert fitted.stopped.startswith("stopped at step 4 of 6")
    assert fitted.history.chosen == fitted.history.points[0]
    assert fitted.held_back_psnr_db == fitted.history.points[0].held_back_psnr_db


def test_a_finished_run_that_was_killed_before_its_artifact_ends_the_same(
    run: Callable[..., FittedStudent], tmp_path: Path
) -> None:
    first, again = run(tmp_path / "work"), run(tmp_path / "work")
    assert again.images_per_s is None
    assert again.history == first.history
    for one, other in zip(first.student.get_weights(), again.student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


def test_without_a_step_the_student_is_what_it_starts_from(training_data: TrainingData, tmp_path: Path) -> None:
    student = build_student(SHAPE)
    config = dataclasses.replace(CONFIG, steps=0)
    fitted = fit(training_data, config, tmp_path, "same", start=lambda: clone(student), name="test")
    assert fitted.history == History()
    for one, other in zip(student.get_weights(), fitted.student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
