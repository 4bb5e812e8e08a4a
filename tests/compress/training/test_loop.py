"""The training loop: what a step sees, and a killed run that ends like one that was never killed."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import keras
import numpy as np
import pytest

from compress.errors import UsageError
from compress.training import loop
from compress.training.schedules import warmup_cosine

PLAN = loop.Plan(
    steps=8,
    learning_rate=warmup_cosine(0.1, steps=8, warmup_steps=2),
    sample_every=4,
    checkpoint_every=3,
)


def test_every_sample_is_seen_once_an_epoch() -> None:
    steps = [loop.sample_indices(step, count=12, batch_size=3, seed=5) for step in range(8)]
    first, second = np.concatenate(steps[:4]), np.concatenate(steps[4:])
    assert sorted(first) == sorted(second) == list(range(12))
    assert list(first) != list(second)


def test_a_batch_larger_than_the_data_takes_from_the_next_epoch() -> None:
    assert np.bincount(loop.sample_indices(0, count=3, batch_size=6, seed=0)).tolist() == [2, 2, 2]


class _Killed(Exception):
    pass


def _model() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.compile(optimizer=keras.optimizers.Adam(use_ema=True), loss="mse", jit_compile=False)
    return model


def _train(
    model: keras.Model,
    work: Path,
    *,
    kill_at: int | None = None,
    run_identity: str = "same",
    finished: Callable[[int], bool] = lambda _: False,
) -> list[int]:
    seen = []

    def batch(step: int) -> loop.Batch:
        if step == kill_at:
            raise _Killed
        seen.append(step)
        random = np.random.default_rng(step)
        return random.normal(size=(5, 4)).astype(np.float32), random.normal(size=(5, 4)).astype(np.float32)

    trained = loop.train(
        model,
        PLAN,
        batch,
        work=work,
        run_identity=run_identity,
        sample=lambda step: {"step": step},
        finished=finished,
        name="test",
    )
    assert trained.steps == (seen[-1] + 1 if seen else trained.steps)
    assert (trained.step_s is None) == (not seen)
    return seen


@pytest.mark.parametrize(
    ("kill_at", "torn", "steps_left"),
    [
        (5, (), [3, 4, 5, 6, 7]),
        (7, (), [6, 7]),
        (7, ("checkpoint.npz",), [3, 4, 5, 6, 7]),
        (7, ("checkpoint.npz", "checkpoint.previous.npz"), [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_a_killed_run_goes_on_and_ends_as_one_that_was_never_killed(
    kill_at: int, torn: tuple[str, ...], steps_left: list[int], tmp_path: Path
) -> None:
    whole, resumed = _model(), _model()
    _train(whole, tmp_path / "whole")
    with pytest.raises(_Killed):
        _train(resumed, tmp_path / "killed", kill_at=kill_at)
    for name in torn:
        path = tmp_path / "killed" / name
        path.write_bytes(path.read_bytes()[:500])
    fresh = _model()
    assert _train(fresh, tmp_path / "killed") == steps_left
    expected = [*whole.get_weights(), *(variable.numpy() for variable in whole.optimizer.variables)]
    found = [*fresh.get_weights(), *(variable.numpy() for variable in fresh.optimizer.variables)]
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-7)


def test_a_step_is_traced_once(tmp_path: Path) -> None:
    model, traced = _model(), []

    def loss(target: Any, predicted: Any) -> Any:
        traced.append(predicted)
        return keras.losses.mean_squared_error(target, predicted)

    model.compile(optimizer=keras.optimizers.Adam(use_ema=True), loss=loss, jit_compile=False)
    _train(model, tmp_path)
    assert len(traced) == 1


def test_the_next_batch_is_made_while_a_step_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, begun = _model(), [Event() for _ in range(PLAN.steps)]
    train_on_batch, overlapped = model.train_on_batch, []

    def slow_step(*batch: Any, **options: Any) -> Any:
        step = len(overlapped)
        overlapped.append(step + 1 < PLAN.steps and begun[step + 1].wait(0.2))
        return train_on_batch(*batch, **options)

    monkeypatch.setattr(model, "train_on_batch", slow_step)

    def batch(step: int) -> loop.Batch:
        begun[step].set()
        return np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32)

    loop.train(model, PLAN, batch, work=tmp_path, run_identity="same", sample=lambda _: {}, name="test")
    # A sample comes after every fourth step, and may end the training.
    assert overlapped == [True, True, True, False] * 2


def test_a_checkpoint_of_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        _train(_model(), tmp_path, kill_at=5)
    with pytest.raises(UsageError, match="stopped at step 3"):
        _train(_model(), tmp_path, run_identity="other")
    assert (tmp_path / "checkpoint.npz").exists()


def test_logs_are_written_for_tensorboard(tmp_path: Path) -> None:
    _train(_model(), tmp_path)
    assert [path.stat().st_size > 0 for path in (tmp_path / "tensorboard").iterdir()] == [True]


def test_a_training_that_has_converged_ends_early_and_stays_ended(tmp_path: Path) -> None:
    def converged(done: int) -> bool:
        return done >= 4

    assert _train(_model(), tmp_path, finished=converged) == [0, 1, 2, 3]
    # Its last checkpoint is of step 3: the one step after it is repeated, and the end found again.
    assert _train(_model(), tmp_path, finished=converged) == [3]
