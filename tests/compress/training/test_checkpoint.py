"""Checkpoints: what is saved comes back whole, and only to the run that saved it."""

from pathlib import Path

import keras
import numpy as np
import pytest

from compress.errors import UsageError
from compress.training.checkpoint import (
    has_checkpoint,
    load_weights,
    restore_checkpoint,
    run_identity,
    save_checkpoint,
    save_weights,
)


def _trained_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.compile(optimizer=keras.optimizers.Adam(use_ema=True), loss="mse", jit_compile=False)
    samples = np.random.default_rng(seed).normal(size=(5, 4)).astype(np.float32)
    model.train_on_batch(samples, -samples)
    return model


def _state(model: keras.Model) -> list[np.ndarray]:
    return [*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)]


def test_a_restored_model_has_the_saved_weights_and_optimiser_state(tmp_path: Path) -> None:
    saved, restored = _trained_model(1), _trained_model(2)
    save_checkpoint(saved, tmp_path, "run", 7)
    assert restore_checkpoint(restored, tmp_path, "run") == 7
    for one, other in zip(_state(saved), _state(restored), strict=True):
        np.testing.assert_array_equal(other, one)


def test_a_new_checkpoint_replaces_the_old_one_and_leaves_no_partial_file(tmp_path: Path) -> None:
    model = _trained_model(1)
    for step in (1, 2):
        save_checkpoint(model, tmp_path, "run", step)
    assert restore_checkpoint(model, tmp_path, "run") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_without_a_checkpoint_a_run_starts_at_step_0(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path, "run")
    assert restore_checkpoint(_trained_model(1), tmp_path, "run") == 0


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    save_checkpoint(_trained_model(1), tmp_path, "run", 3)
    assert has_checkpoint(tmp_path, "run")
    with pytest.raises(UsageError, match="stopped at step 3"):
        has_checkpoint(tmp_path, "another")


def test_a_run_is_identified_by_every_one_of_its_settings() -> None:
    assert run_identity({"a": 1, "b": 2}, ["photo"]) == run_identity({"b": 2, "a": 1}, ["photo"])
    assert run_identity({"a": 1, "b": 2}, ["photo"]) != run_identity({"a": 1, "b": 3}, ["photo"])


def test_saved_weights_come_back_as_they_were_and_leave_no_partial_file(tmp_path: Path) -> None:
    saved, restored = _trained_model(1), _trained_model(2)
    for model in (restored, saved):
        save_weights(model.get_weights(), tmp_path / "weights.npz")
    restored.set_weights(load_weights(tmp_path / "weights.npz"))
    for one, other in zip(saved.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]
