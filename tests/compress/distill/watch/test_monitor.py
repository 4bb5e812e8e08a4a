"""The monitor of a distillation: the better weights measured, the chosen ones kept, and a kill that changes nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress import images
from compress.distill.config import FitConfig
from compress.distill.training_data.pairs import Pairs
from compress.distill.watch import monitor as monitoring
from compress.distill.watch.monitor import Monitor
from compress.distill.watch.reference import Watch
from compress.images.sheet import LABEL_PX
from compress.training import kid
from compress.training.kid import Kid

SIDE = 8
CONFIG = FitConfig(steps=60, sample_every=10, checkpoint_every=20)


def _student(*, norm: bool = False) -> keras.Model:
    """One weight: a factor on the photo."""
    image = keras.Input((SIDE, SIDE, 3))
    scaled: Any = keras.layers.DepthwiseConv2D(1, use_bias=False)(image)
    if norm:
        scaled = keras.layers.BatchNormalization(scale=False, center=False)(scaled)
    return keras.Model(image, scaled)


def _set_factor(student: keras.Model, factor: float) -> None:
    student.layers[1].set_weights([np.full((1, 1, 3, 1), factor, np.float32)])


def _factor(student: keras.Model) -> float:
    return float(student.layers[1].get_weights()[0].mean())


class _Distiller:
    """Stands in for the compiled distiller: the weights of the last step, and their average."""

    def __init__(self, student: keras.Model) -> None:
        self.student = student
        self.raw, self.averaged = 0.5, 0.5

    def at(self, *, raw: float, averaged: float) -> None:
        self.raw, self.averaged = raw, averaged
        _set_factor(self.student, raw)


@pytest.fixture
def held_back() -> Pairs:
    """Six photos; the teacher halves them."""
    photos = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3)).astype(np.uint8)
    return Pairs(photos, images.to_uint8(0.5 * images.to_float(photos)), np.arange(6))


@pytest.fixture
def distiller(monkeypatch: pytest.MonkeyPatch) -> _Distiller:
    model = _Distiller(_student())

    @contextmanager
    def averaged_weights(given: Any) -> Iterator[None]:
        assert given is model
        _set_factor(model.student, model.averaged)
        yield
        _set_factor(model.student, model.raw)

    monkeypatch.setattr(monitoring, "averaged_weights", averaged_weights)
    return model


@pytest.fixture
def kids(monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[float | None]], list[np.ndarray]]:
    """In place of scoring: these means, with spreads of 0.1; the images that were to be scored are remembered."""

    def install(means: Sequence[float | None]) -> list[np.ndarray]:
        scored: list[np.ndarray] = []
        coming = iter(means)

        def measure(fake: np.ndarray, real: Path, scratch: Path, *, network: str) -> Kid | None:
            assert network == ("auto" if not scored else "inception")
            assert len(list(real.glob("*.png"))) >= kid.FEWEST_IMAGES
            scored.append(fake)
            mean = next(coming)
            return None if mean is None else Kid(mean=mean, spread=0.1, metric="kid", network="inception")

        monkeypatch.setattr(kid, "measure_kid", measure)
        return scored

    return install


def _monitor(
    distiller: _Distiller, held_back: Pairs, work: Path, *, watch: Watch | None = None, config: FitConfig = CONFIG
) -> Monitor:
    model: Any = distiller
    return Monitor(model, _student(), lambda _: pytest.fail("shown"), held_back, config, work, watch)


def _kept(work: Path) -> list[str]:
    return sorted(path.name for path in work.glob("*.npz"))


@pytest.mark.parametrize(
    ("raw", "averaged", "better"), [(0.5, 0.3, "raw"), (0.3, 0.5, "averaged"), (0.5, 0.5, "averaged")]
)
def test_the_better_of_both_weights_are_measured_drawn_and_kept(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, raw: float, averaged: float, better: str
) -> None:
    watched = _monitor(distiller, held_back, tmp_path)
    distiller.at(raw=raw, averaged=averaged)
    logged = watched.sample(10)
    (point,) = watched.history(10).points
    assert (point.step, point.weights, point.kid) == (10, better, None)
    # As halved by the teacher, but for its rounding to a byte.
    assert point.held_back_psnr_db > 50
    assert logged == {"held_back_psnr_db": point.held_back_psnr_db}
    assert _factor(distiller.student) == pytest.approx(raw)
    student = _student()
    loaded = Monitor(distiller, student, lambda _: np.empty(0), held_back, CONFIG, tmp_path, None)  # pyright: ignore[reportArgumentType]
    loaded.load_chosen(10)
    assert _factor(student) == pytest.approx(0.5)
    sheet = images.read_image(tmp_path / "samples-000010.png")
    assert sheet.shape == (LABEL_PX + 6 * (SIDE + 4) + 4, 3 * (SIDE + 4) + 4, 3)
    # The student's column is the teacher's, but for the rounding.
    teacher, made = (sheet[LABEL_PX + 4 :, left : left + SIDE].astype(int) for left in (16, 28))
    assert np.abs(teacher - made).max() <= 1


def test_averaged_weights_get_statistics_of_training_photos(
    held_back: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = _student(norm=True)
    model: Any = _Distiller(_student(norm=True))

    @contextmanager
    def averaged_weights(_: Any) -> Iterator[None]:
        _set_factor(model.student, 0.5)
        yield
        _set_factor(model.student, 0.0)

    monkeypatch.setattr(monitoring, "averaged_weights", averaged_weights)
    seen: list[int] = []

    def photos(step: int) -> np.ndarray:
        seen.append(step)
        return np.random.default_rng(step).normal(size=(4, SIDE, SIDE, 3)).astype(np.float32)

    Monitor(model, student, photos, held_back, CONFIG, tmp_path, None).sample(40)
    assert seen == list(range(monitoring.BATCH_NORM_STEPS))
    means = np.mean([0.5 * photos(step).mean((0, 1, 2)) for step in range(20)], axis=0)
    np.testing.assert_allclose(student.layers[2].moving_mean.numpy(), means, rtol=1e-4, atol=1e-6)
    # In training nothing was refreshed.
    assert np.all(model.student.layers[2].moving_mean.numpy() == 0)


def test_without_averaging_the_weights_of_the_step_are_measured(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path
) -> None:
    distiller.at(raw=0.4, averaged=0.5)
    watched = _monitor(distiller, held_back, tmp_path, config=FitConfig(ema_momentum=0.0))
    watched.sample(10)
    assert watched.history(10).points[0].weights == "raw"
    watched.load_chosen(10)


def test_the_weights_of_the_best_kid_are_kept_and_older_ones_go_once_no_checkpoint_needs_them(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    scored = kids([0.9, 0.5, 0.7, 0.55, 0.8, 0.3])
    watched = _monitor(distiller, held_back, tmp_path, watch=Watch())
    expected = {
        10: ["chosen-000000010.npz"],
        20: ["chosen-000000020.npz"],
        # Step 20 is the last checkpoint; its choice was step 20.
        30: ["chosen-000000020.npz"],
        40: ["chosen-000000020.npz", "chosen-000000040.npz"],
        # The checkpoints are those of steps 20 and 40: a run resumes at the first where the second is damaged.
        50: ["chosen-000000020.npz", "chosen-000000040.npz"],
        60: ["chosen-000000020.npz", "chosen-000000040.npz", "chosen-000000060.npz"],
    }
    for step, names in expected.items():
        factor = step / 100
        distiller.at(raw=factor, averaged=factor)
        assert watched.sample(step)["kid"] == pytest.approx(
            {10: 0.9, 20: 0.5, 30: 0.7, 40: 0.55, 50: 0.8, 60: 0.3}[step]
        )
        assert _kept(tmp_path) == names
    np.testing.assert_array_equal(scored[1], images.to_uint8(0.2 * images.to_float(held_back.photos)))
    resumed = _monitor(distiller, held_back, tmp_path, watch=Watch())
    assert resumed.history(50).chosen == watched.history(60).points[3]
    student = _student()
    loaded = Monitor(distiller, student, lambda _: np.empty(0), held_back, CONFIG, tmp_path, None)  # pyright: ignore[reportArgumentType]
    for done, factor in ((50, 0.4), (60, 0.6)):
        loaded.load_chosen(done)
        assert _factor(student) == pytest.approx(factor)


def test_kid_is_measured_to_real_images_where_there_are_any_with_the_teachers_own_beside(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    real = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(real):
        images.write_png(path, np.full((2 * SIDE, SIDE, 3), number, np.uint8))
    scored = kids([0.25, 0.5])
    work = tmp_path / "work"
    work.mkdir()
    watched = _monitor(distiller, held_back, work, watch=Watch(real))
    np.testing.assert_array_equal(scored[0], held_back.targets)
    written = [image for _, image in images.read_images(images.list_images(work / "held_back_real"))]
    np.testing.assert_array_equal(written, [np.full((SIDE, SIDE, 3), number) for number in range(4)])
    watched.sample(10)
    # A run that resumes does not measure the teacher again.
    _monitor(distiller, held_back, work, watch=Watch(real))
    teacher = watched.history(10).teacher_kid
    assert teacher is not None
    assert teacher.mean == 0.25
    assert watched.history(10).kid_to == "real"
    assert len(scored) == 2


def test_without_real_images_kid_is_measured_to_the_teachers(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    scored = kids([])
    watched = _monitor(distiller, held_back, tmp_path, watch=Watch())
    written = [image for _, image in images.read_images(images.list_images(tmp_path / "held_back_real"))]
    np.testing.assert_array_equal(written, held_back.targets)
    assert scored == []
    assert watched.history(0).teacher_kid is None
    assert watched.history(0).kid_to == "teacher"


def test_a_failed_measurement_costs_a_point_of_the_curve_alone(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    kids([0.5, None])
    watched = _monitor(distiller, held_back, tmp_path, watch=Watch())
    assert set(watched.sample(10)) == {"held_back_psnr_db", "kid"}
    assert set(watched.sample(20)) == {"held_back_psnr_db"}
    history = watched.history(20)
    assert history.points[1].kid is None
    assert history.chosen == history.points[0]


def test_too_few_held_back_photos_for_kid_are_watched_by_psnr_alone(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scored = kids([])
    few = Pairs(held_back.photos, held_back.targets, np.arange(3))
    watched = _monitor(distiller, few, tmp_path, watch=Watch(patience=1))
    watched.sample(10)
    assert scored == []
    assert "3 are held back, and it needs 4" in caplog.text
    assert not watched.finished(10)


def test_training_ends_early_only_where_asked_for_and_says_why(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    kids([0.5, 0.55, 0.45])
    watched = _monitor(distiller, held_back, tmp_path, watch=Watch(patience=2))
    for step in (10, 20, 30):
        assert not watched.finished(step - 10)
        watched.sample(step)
    assert watched.finished(30)
    assert watched.explain_end(30) == (
        "stopped at step 30 of 60: no KID of the last 2 lies below the best before them by more than its spread"
    )
    patient = _monitor(distiller, held_back, tmp_path, watch=Watch())
    assert not patient.finished(30)
    # Quality comes with the discriminator: what was before says nothing.
    late = FitConfig(steps=60, checkpoint_every=20, l1_final_scale=0.5, adversarial_from_step=15)
    assert not _monitor(distiller, held_back, tmp_path, watch=Watch(patience=2), config=late).finished(30)
    # As it does with whole images after squares.
    squares = FitConfig(steps=60, checkpoint_every=20, crop_px=32, crop_until=0.25)
    assert not _monitor(distiller, held_back, tmp_path, watch=Watch(patience=2), config=squares).finished(30)


def test_a_training_at_its_last_step_was_not_stopped(
    distiller: _Distiller, held_back: Pairs, tmp_path: Path, kids: Any
) -> None:
    kids([0.5, 0.55, 0.56])
    short = FitConfig(steps=30, checkpoint_every=20)
    watched = _monitor(distiller, held_back, tmp_path, watch=Watch(patience=2), config=short)
    for step in (10, 20, 30):
        watched.sample(step)
    assert watched.explain_end(30) is None
