"""The loop that every trained stage shares: schedule, order of samples, checkpoints, resume, progress and TensorBoard.

What a step sees is a pure function of the seed and the step's number, so a run that was killed and goes on from its
checkpoint sees what it would have seen.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from compress.errors import UsageError

Batch = tuple[np.ndarray, np.ndarray]
FINAL_LEARNING_RATE_SHARE = 0.01
_CHECKPOINT_NAME = "checkpoint.npz"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train, and how often to look."""

    steps: int
    learning_rate: float
    warmup_steps: int
    sample_every: int
    checkpoint_every: int


def learning_rate(step: int, plan: Plan) -> float:
    """Linear warm-up to the peak, then a cosine down to a hundredth of it.

    Source: Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983, without restarts.
    """
    warmup = min(plan.warmup_steps, plan.steps // 2)
    if step < warmup:
        return plan.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, plan.steps - warmup)
    cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
    return plan.learning_rate * (FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine)


def sample_indices(step: int, *, count: int, batch_size: int, seed: int) -> np.ndarray:
    """Which of `count` samples the batch of a step holds: every epoch a new order, every sample once an epoch.

    Returns:
        `(batch_size,)` int64. A batch may run over into the next epoch.
    """
    places = [divmod(position, count) for position in range(step * batch_size, (step + 1) * batch_size)]
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch, _ in places}
    return np.array([orders[epoch][place] for epoch, place in places])


def identity(*parts: Any) -> str:
    """A hash of everything that makes two runs the same run, from JSON-ready parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def train(
    model: keras.Model,
    plan: Plan,
    batch: Callable[[int], Batch],
    *,
    work: Path,
    run_identity: str,
    sample: Callable[[int], Mapping[str, float]],
) -> None:
    """Train a compiled model to the plan's end, from its last checkpoint if there is one.

    Args:
        model: Compiled, with a learning rate that is a plain variable.
        plan: Length and intervals.
        batch: Inputs and targets of a step.
        work: Folder for the checkpoint and the TensorBoard logs; kept when the run is killed.
        run_identity: From `identity`; a checkpoint of another run is refused.
        sample: Called every `sample_every` steps and at the end; draws, measures, returns numbers to log.

    Raises:
        UsageError: If `work` holds the checkpoint of a run with other settings.
    """
    from tensorboard.summary import Writer

    work.mkdir(parents=True, exist_ok=True)
    first_step = restore(model, work, run_identity)
    logs = Writer(str(work / "tensorboard"))
    with tqdm(total=plan.steps, initial=first_step, desc="training", unit="step") as bar:
        for step in range(first_step, plan.steps):
            rate = learning_rate(step, plan)
            model.optimizer.learning_rate = rate
            losses = model.train_on_batch(*batch(step), return_dict=True)
            done = step + 1
            bar.update()
            if done % 50 == 0 or done == plan.steps:
                bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()})
                _log(logs, done, {**losses, "learning_rate": rate})
                model.reset_metrics()
            if done % plan.sample_every == 0 or done == plan.steps:
                _log(logs, done, sample(done))
            if done % plan.checkpoint_every == 0 or done == plan.steps:
                checkpoint(model, work, run_identity, done)
    logs.close()


def refresh_batch_statistics(model: keras.Model, batch: Callable[[int], Batch], steps: int) -> None:
    """Run training steps that move nothing but BatchNorm's statistics, which averaged weights make stale."""
    model.optimizer.learning_rate = 0.0
    for step in range(steps):
        model.train_on_batch(*batch(step))
    model.reset_metrics()


def checkpoint(model: keras.Model, work: Path, run_identity: str, step: int) -> None:
    """Write weights, optimiser state and step under a temporary name, flush, rename: never a torn checkpoint."""
    arrays: dict[str, Any] = {f"variable_{index}": value for index, value in enumerate(_state(model))}
    arrays |= {"step": step, "identity": run_identity}
    partial = work / f"{_CHECKPOINT_NAME}.partial"
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(work / _CHECKPOINT_NAME)


def restore(model: keras.Model, work: Path, run_identity: str) -> int:
    """Put a checkpoint's state back.

    Returns:
        How many steps were done; 0 without a checkpoint.

    Raises:
        UsageError: If the checkpoint belongs to a run with other settings or data.
    """
    path = work / _CHECKPOINT_NAME
    if not path.exists():
        return 0
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["identity"]) != run_identity:
            raise UsageError(
                f"{work} holds a run that was stopped at step {int(stored['step'])} with other settings or photos. "
                "Give the same settings to go on with it, or delete the folder to start anew."
            )
        for index, variable in enumerate(_state_variables(model)):
            variable.assign(stored[f"variable_{index}"])
        return int(stored["step"])


def _state_variables(model: keras.Model) -> list[Any]:
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in [*model.variables, *model.optimizer.variables] if id(variable) not in metrics]


def _state(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in _state_variables(model)]


def _log(logs: Any, step: int, numbers: Mapping[str, float]) -> None:
    for name, value in numbers.items():
        logs.add_scalar(name, float(value), step)
