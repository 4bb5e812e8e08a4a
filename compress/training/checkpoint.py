"""Checkpoints of a training run: saved atomically, and resumed only by the run that they belong to."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress.errors import UsageError

_CHECKPOINT_NAME = "checkpoint.npz"


def run_identity(*parts: Any) -> str:
    """Return a hash of everything that makes two runs the same run, from JSON-ready parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def save_checkpoint(model: keras.Model, work: Path, run_identity: str, step: int) -> None:
    """Save weights, optimiser state and step atomically: under a temporary name, flushed, then renamed."""
    arrays: dict[str, Any] = {f"variable_{index}": value for index, value in enumerate(_state(model))}
    _save_arrays(work / _CHECKPOINT_NAME, arrays | {"step": step, "identity": run_identity})


def restore_checkpoint(model: keras.Model, work: Path, run_identity: str) -> int:
    """Restore a checkpoint's state into a compiled model.

    Returns:
        How many steps were done; 0 without a checkpoint.

    Raises:
        UsageError: If the checkpoint belongs to a run with other settings or data.
    """
    if not has_checkpoint(work, run_identity):
        return 0
    with np.load(work / _CHECKPOINT_NAME, allow_pickle=False) as stored:
        for index, variable in enumerate(_state_variables(model)):
            variable.assign(stored[f"variable_{index}"])
        return int(stored["step"])


def has_checkpoint(work: Path, run_identity: str) -> bool:
    """Check whether a run can resume; cheap, so that a stage can ask before it reads its data.

    Raises:
        UsageError: If the checkpoint belongs to a run with other settings or data.
    """
    path = work / _CHECKPOINT_NAME
    if not path.exists():
        return False
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["identity"]) != run_identity:
            raise UsageError(
                f"{work} holds a run that was stopped at step {int(stored['step'])} with other settings or photos. "
                "Give the same settings to resume it, or delete the folder to start anew."
            )
    return True


def save_weights(weights: Sequence[np.ndarray], path: Path) -> None:
    """Save a net's weights, from `get_weights`, atomically as a checkpoint is."""
    _save_arrays(path, {f"weight_{index}": weight for index, weight in enumerate(weights)})


def load_weights(path: Path) -> list[np.ndarray]:
    """Load what `save_weights` saved, for `set_weights`."""
    with np.load(path, allow_pickle=False) as stored:
        return [stored[f"weight_{index}"] for index in range(len(stored.files))]


def _save_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(path)


def _state(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in _state_variables(model)]


def _state_variables(model: keras.Model) -> list[Any]:
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in [*model.variables, *model.optimizer.variables] if id(variable) not in metrics]
