"""Checkpoints: what is saved comes back whole, and only to the run that saved it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from compress.errors import UnusableArtifact, UsageError
from compress.training import checkpoint
from compress.training.checkpoint import (
    checkpoint_steps,
    has_checkpoint,
    identify_files,
    load_weights,
    restore_checkpoint,
    run_identity,
    save_checkpoint,
    save_weights,
)


def _trained_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4), keras.layers.BatchNormalization()])
    model.compile(optimizer=keras.optimizers.Adam(use_ema=True), loss="mse", run_eagerly=True)
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


def test_a_new_checkpoint_keeps_the_one_before_and_leaves_no_partial_file(tmp_path: Path) -> None:
    model = _trained_model(1)
    for step in (1, 2, 3):
        save_checkpoint(model, tmp_path, "run", step)
    assert restore_checkpoint(model, tmp_path, "run") == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.npz", "checkpoint.previous.npz"]
    (tmp_path / "checkpoint.npz").unlink()
    assert restore_checkpoint(model, tmp_path, "run") == 2


def _flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # Within the first array: behind its headers of some 190 bytes, before the next one's.
    content[200] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "torn at its start": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path: path.write_bytes(b""),
    "a changed bit": _flip_a_bit,
    "something else": lambda path: path.write_text("<html>"),
    "without a variable": lambda path: np.savez(path, identity="run", step=2),
    "of another shape": lambda path: np.savez(path, identity="run", step=2, variable_0=np.zeros(3)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, restored = (_trained_model(seed) for seed in (1, 2, 3))
    save_checkpoint(first, tmp_path, "run", 1)
    save_checkpoint(second, tmp_path, "run", 2)
    DAMAGES[damage](tmp_path / "checkpoint.npz")
    assert has_checkpoint(tmp_path, "run")
    assert restore_checkpoint(restored, tmp_path, "run") == 1
    for one, other in zip(_state(first), _state(restored), strict=True):
        np.testing.assert_array_equal(other, one)
    assert "checkpoint.npz is damaged: " in caplog.messages[0]
    assert caplog.messages[1] == "training goes on from the checkpoint before, of step 1"
    # The damaged one does not take the whole one's place.
    save_checkpoint(second, tmp_path, "run", 2)
    DAMAGES[damage](tmp_path / "checkpoint.npz")
    assert restore_checkpoint(restored, tmp_path, "run") == 1


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_whole_checkpoint_the_training_starts_anew_with_the_net_as_it_was(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        save_checkpoint(_trained_model(1), tmp_path, "run", step)
    for name in ("checkpoint.npz", "checkpoint.previous.npz"):
        DAMAGES[damage](tmp_path / name)
    model = _trained_model(3)
    before = [value.copy() for value in _state(model)]
    assert restore_checkpoint(model, tmp_path, "run") == 0
    for one, other in zip(before, _state(model), strict=True):
        np.testing.assert_array_equal(other, one)
    assert caplog.messages[-1] == "no whole checkpoint is left; training starts anew"
    assert not has_checkpoint(tmp_path, "run")


def test_the_checkpoint_before_of_another_run_is_refused(tmp_path: Path) -> None:
    for step in (3, 4):
        save_checkpoint(_trained_model(1), tmp_path, "run", step)
    (tmp_path / "checkpoint.npz").write_bytes(b"")
    with pytest.raises(UsageError, match="stopped at step 3"):
        has_checkpoint(tmp_path, "another")


@pytest.mark.parametrize(("done", "expected"), [(1, (0, 0)), (5, (0, 0)), (6, (5, 0)), (10, (5, 0)), (13, (10, 5))])
def test_steps_of_the_checkpoints_on_disk(done: int, expected: tuple[int, int]) -> None:
    """With one every 5 steps: at step 10 those of 5 and 0 are there, since the next is saved after it."""
    assert checkpoint_steps(done, 5) == expected


@pytest.mark.parametrize("damage", ["torn", "empty", "a changed bit"])
def test_damaged_weights_are_named(damage: str, tmp_path: Path) -> None:
    save_weights(_trained_model(1).get_weights(), tmp_path / "chosen.npz")
    DAMAGES[damage](tmp_path / "chosen.npz")
    with pytest.raises(UnusableArtifact, match=r"chosen\.npz .* is damaged .*Delete .* to start anew"):
        load_weights(tmp_path / "chosen.npz")


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


def test_files_are_identified_by_name_and_content_wherever_they_lie(tmp_path: Path) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        for name in ("1.png", "2.png"):
            (tmp_path / folder / name).write_text(f"photo {name}")
    here, there = (sorted((tmp_path / folder).iterdir()) for folder in ("here", "there"))
    assert identify_files(here) == identify_files(there)
    assert identify_files(here) != identify_files(here[:1])
    (tmp_path / "there" / "2.png").write_text("another photo")
    assert identify_files(here) != identify_files(there)
    (tmp_path / "here" / "1.png").rename(tmp_path / "here" / "0.png")
    assert identify_files([tmp_path / "here" / "0.png"]) != identify_files([tmp_path / "there" / "1.png"])


def test_saved_weights_come_back_as_they_were_and_leave_no_partial_file(tmp_path: Path) -> None:
    saved, restored = _trained_model(1), _trained_model(2)
    for model in (restored, saved):
        save_weights(model.get_weights(), tmp_path / "weights.npz")
    restored.set_weights(load_weights(tmp_path / "weights.npz"))
    for one, other in zip(saved.get_weights(), restored.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.npz"]


def test_a_checkpoint_that_finds_no_room_leaves_the_room_that_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: Any, **_: Any) -> None:
        stream.write(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left") as raised:
        checkpoint._write_arrays(tmp_path / "checkpoint.npz", {})
    assert raised.value.filename == str(tmp_path / "checkpoint.npz")
    assert list(tmp_path.iterdir()) == []
