"""Checkpoints of a training run: saved atomically, two kept, and resumed only by the run that they belong to."""

import hashlib
import json
import logging
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from compress.artifact import file_fingerprint
from compress.errors import UnusableArtifact, UsageError

_DAMAGE = (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, NotImplementedError)
"""What NumPy's reader raises for a file that is missing, torn or changed: each array has a checksum."""
_log = logging.getLogger(__name__)


class _Header(NamedTuple):
    """What a checkpoint says of itself."""

    identity: str
    step: int


def run_identity(*parts: Any) -> str:
    """Return a hash of everything that makes two runs the same run, from JSON-ready parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def identify_files(paths: Iterable[Path]) -> str:
    """Return a hash of files' names and bytes in their order, wherever they lie, for `run_identity`."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{file_fingerprint(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def save_checkpoint(model: keras.Model, work: Path, run_identity: str, step: int) -> None:
    """Save weights, optimiser state and step atomically: under a temporary name, flushed, then renamed.

    The checkpoint before stays beside it, for the case that this one is damaged later.
    """
    arrays: dict[str, Any] = {f"variable_{index}": value for index, value in enumerate(_state(model))}
    current, previous = _paths(work)
    partial = _write_arrays(current, arrays | {"step": step, "identity": run_identity})
    if current.exists():
        current.replace(previous)
    partial.replace(current)


def restore_checkpoint(model: keras.Model, work: Path, run_identity: str) -> int:
    """Restore a checkpoint's state into a compiled model: the last one's or, where that is damaged, the one's before.

    A damaged checkpoint is told of, and removed.

    Returns:
        How many steps were done; 0 without a whole checkpoint.

    Raises:
        UsageError: If the checkpoint belongs to a run with other settings or data.
    """
    damaged = 0
    for path in _paths(work):
        try:
            header = _read_header(path)
            _require_identity(header, work, run_identity)
            _restore(model, path)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise
        except _DAMAGE as error:
            _log.warning("%s is damaged: %s", path, error)
            path.unlink()
            damaged += 1
            continue
        if path != _paths(work)[0]:
            _log.warning("training goes on from the checkpoint before, of step %d", header.step)
        return header.step
    if damaged:
        _log.warning("no whole checkpoint is left; training starts anew")
    return 0


def has_checkpoint(work: Path, run_identity: str) -> bool:
    """Check whether a run can resume; cheap, so that a stage can ask before it reads its data.

    Raises:
        UsageError: If the checkpoint belongs to a run with other settings or data.
    """
    for path in _paths(work):
        try:
            header = _read_header(path)
        except PermissionError:
            raise
        except _DAMAGE:
            continue
        _require_identity(header, work, run_identity)
        return True
    return False


def checkpoint_steps(done: int, every: int) -> tuple[int, int]:
    """Return the steps of the checkpoints that are on disk just before one is saved: the last, and the one before.

    Args:
        done: Steps done by now.
        every: Steps between checkpoints.
    """
    last = (done - 1) // every * every
    return last, max(0, last - every)


def save_weights(weights: Sequence[np.ndarray], path: Path) -> None:
    """Save a net's weights, from `get_weights`, atomically as a checkpoint is."""
    _write_arrays(path, {f"weight_{index}": weight for index, weight in enumerate(weights)}).replace(path)


def load_weights(path: Path) -> list[np.ndarray]:
    """Load what `save_weights` saved, for `set_weights`.

    Raises:
        UnusableArtifact: If the file is missing or damaged.
    """
    try:
        with _open_arrays(path) as stored:
            return [stored[f"weight_{index}"] for index in range(len(stored))]
    except _DAMAGE as error:
        raise UnusableArtifact(
            f"{path} holds the best weights of this training and is damaged ({error}). Delete {path.parent} to start "
            "anew."
        ) from error


def _paths(work: Path) -> tuple[Path, Path]:
    """Return where the last checkpoint lies, and the one before."""
    return work / "checkpoint.npz", work / "checkpoint.previous.npz"


@contextmanager
def _open_arrays(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    # Opened here, since NumPy leaves a file open that turns out to be torn.
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        yield stored


def _read_header(path: Path) -> _Header:
    with _open_arrays(path) as stored:
        return _Header(str(stored["identity"]), int(stored["step"]))


def _require_identity(header: _Header, work: Path, run_identity: str) -> None:
    if header.identity != run_identity:
        raise UsageError(
            f"{work} holds a run that was stopped at step {header.step} with other settings or photos. "
            "Give the same settings to resume it, or delete the folder to start anew."
        )


def _restore(model: keras.Model, path: Path) -> None:
    """Assign a checkpoint's state, all of it or nothing."""
    variables = state_variables(model)
    with _open_arrays(path) as stored:
        values = [stored[f"variable_{index}"] for index in range(len(variables))]
    for variable, value in zip(variables, values, strict=True):
        if tuple(variable.shape) != value.shape:
            raise ValueError(f"it holds {value.shape} where the net has {tuple(variable.shape)}")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _write_arrays(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Write arrays beside a file, to be renamed to it; one that a killed run left there is overwritten."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        # On a full disk it would take the room that the next try needs.
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    return partial


def _state(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in state_variables(model)]


def state_variables(model: keras.Model) -> list[Any]:
    """Return the variables whose values are the state of a training: weights, statistics, pools and optimiser."""
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in [*model.variables, *model.optimizer.variables] if id(variable) not in metrics]
