"""Precision of the teacher's images: bfloat16 only where it pays and the pictures are the same."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from compress import images, teachers
from compress.distill.training_data import teacher_precision
from compress.distill.training_data.teacher_images import Translate
from compress.distill.training_data.teacher_precision import LEAST_PSNR_DB, resolve_teacher_precision, translator
from compress.teachers.build import build_generator
from compress.training.precision import Policy


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache; a machine that trains in bfloat16."""
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(teacher_precision, "resolve_policy", _train_in("mixed_bfloat16"))
    return tmp_path / "cache"


def _train_in(policy: Policy) -> Callable[..., Policy]:
    return lambda asked, work: policy if asked == "auto" else asked


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(1)
    for number in range(teacher_precision.FEWEST_PHOTOS):
        images.write_png(folder / f"{number:03}.png", random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    return sorted(folder.iterdir())


@pytest.fixture
def resolve(teacher_file: Path, photos: list[Path], tmp_path: Path) -> Callable[..., tuple[str, Translate]]:
    description = teachers.describe(teacher_file)
    generator = build_generator(description)

    def call(asked: str = "auto", count: int = len(photos)) -> tuple[str, Translate]:
        return resolve_teacher_precision(asked, lambda: generator, description, photos[:count], tmp_path / "work", 16)  # pyright: ignore[reportArgumentType]

    return call


def _pretend(monkeypatch: pytest.MonkeyPatch, *, psnr_db: float, gain: float) -> list[str]:
    """Have bfloat16 differ and take as long as is said; return the list of policies that batches are translated in."""
    monkeypatch.setattr(teacher_precision, "_worst_psnr_db", lambda exact, short: psnr_db)
    seconds = {"float32": gain, "mixed_bfloat16": 1.0}
    called: list[str] = []

    def pretended(generator: keras.Model, policy: Policy = "float32") -> Translate:
        def translate(batch: np.ndarray) -> np.ndarray:
            called.append(policy)
            return batch

        return translate

    monkeypatch.setattr(teacher_precision, "translator", pretended)

    def clock() -> float:
        return sum(seconds[policy] for policy in called)

    monkeypatch.setattr(teacher_precision, "choose_trial_clock", lambda: clock)
    return called


@pytest.mark.parametrize(
    ("psnr_db", "gain", "chosen"),
    [(60.0, 2.0, "mixed_bfloat16"), (60.0, 1.05, "float32"), (LEAST_PSNR_DB - 0.1, 2.0, "float32")],
)
def test_bfloat16_has_to_be_faster_and_the_same(resolve, monkeypatch, psnr_db: float, gain: float, chosen: str) -> None:
    _pretend(monkeypatch, psnr_db=psnr_db, gain=gain)
    assert resolve()[0] == chosen


def test_what_was_chosen_is_remembered_by_the_run(resolve, monkeypatch) -> None:
    _pretend(monkeypatch, psnr_db=60, gain=2)
    assert resolve()[0] == "mixed_bfloat16"
    _pretend(monkeypatch, psnr_db=60, gain=0.5)
    assert resolve()[0] == "mixed_bfloat16"


@pytest.mark.parametrize(("gain", "timed"), [(2.0, 1), (0.5, 1), (1.2, 3)])
def test_batches_are_timed_until_it_is_clear(resolve, monkeypatch, gain: float, timed: int) -> None:
    called = _pretend(monkeypatch, psnr_db=60, gain=gain)
    resolve()
    # One of each compiles it, and is compared.
    assert {policy: called.count(policy) for policy in called} == dict.fromkeys(
        ("float32", "mixed_bfloat16"), 1 + timed
    )


def test_another_run_of_the_machine_and_teacher_is_spared_the_trial(resolve, monkeypatch, tmp_path: Path) -> None:
    _pretend(monkeypatch, psnr_db=60, gain=2)
    assert resolve()[0] == "mixed_bfloat16"
    shutil.rmtree(tmp_path / "work")
    called = _pretend(monkeypatch, psnr_db=0, gain=0.5)
    assert resolve()[0] == "mixed_bfloat16"
    assert not called


def test_another_teacher_or_a_cleared_cache_has_a_trial(
    resolve, teacher_file: Path, photos, monkeypatch, cache
) -> None:
    _pretend(monkeypatch, psnr_db=60, gain=2)
    assert resolve()[0] == "mixed_bfloat16"
    _pretend(monkeypatch, psnr_db=60, gain=0.5)
    description = teachers.describe(teacher_file)
    other = replace(description, weights={name: weight / 2 for name, weight in description.weights.items()})
    generator = build_generator(other)
    assert resolve_teacher_precision("auto", lambda: generator, other, photos, cache / "work", 16)[0] == "float32"
    shutil.rmtree(cache)
    shutil.rmtree(cache.parent / "work")
    assert resolve()[0] == "float32"


def test_a_machine_that_trains_in_float32_has_no_trial(resolve, monkeypatch) -> None:
    monkeypatch.setattr(teacher_precision, "resolve_policy", _train_in("float32"))
    called = _pretend(monkeypatch, psnr_db=60, gain=2)
    assert resolve()[0] == "float32"
    assert not called


def test_what_was_asked_for_is_taken_where_the_pictures_are_the_same(resolve, monkeypatch) -> None:
    _pretend(monkeypatch, psnr_db=60, gain=0.5)
    assert resolve("mixed_bfloat16")[0] == "mixed_bfloat16"
    assert resolve("float32")[0] == "float32"


def test_few_photos_are_translated_without_a_trial(resolve, monkeypatch) -> None:
    _pretend(monkeypatch, psnr_db=60, gain=2)
    assert resolve(count=teacher_precision.FEWEST_PHOTOS - 1)[0] == "float32"


def test_a_tiny_teacher_of_random_weights_in_both_precisions(
    resolve, teacher_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        precision, translate = resolve("mixed_bfloat16")
    batch = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    exact = translator(teachers.load(teacher_file))(batch)
    made = translate(batch)
    assert made.dtype == np.float32
    # Its weights are drawn so large that it is far more sensitive than a trained net: float32 is kept, and said why.
    assert precision == "float32"
    np.testing.assert_array_equal(made, exact)
    assert "in bfloat16 they are" in caplog.text


def test_a_picture_that_is_not_finite_is_as_far_off_as_can_be() -> None:
    exact = np.zeros((2, 4, 4, 3), np.float32)
    short = exact.copy()
    short[1, 0, 0, 0] = np.nan
    assert teacher_precision._worst_psnr_db(exact, short) == 0.0
    assert teacher_precision._worst_psnr_db(exact, exact + 0.02) == pytest.approx(10 * np.log10(4 / 0.0004), abs=0.01)
