"""The loop that every trained stage shares: schedule, order of samples, checkpoints, resume, progress and TensorBoard.

What a step sees is a pure function of the seed and the step's number, so a run that was killed and goes on from its
checkpoint sees what it would have seen.
"""

import hashlib
import json
import math
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
from tqdm import tqdm

from compress.errors import UsageError

Batch = tuple[Any, ...]
"""The positional arguments of `train_on_batch`."""
Schedule = Callable[[int], float]
"""The learning rate at a step."""
FINAL_LEARNING_RATE_SHARE = 0.01
_CHECKPOINT_NAME = "checkpoint.npz"
_LOG_EVERY = 50

# Keras's seeding and saving and TensorBoard load TensorFlow wherever it is installed. With another backend it is to
# stay out: beside torch it ends the interpreter.
if keras.backend.backend() != "tensorflow":
    sys.modules.setdefault("tensorflow", cast(Any, None))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train, and how often to look."""

    steps: int
    learning_rate: Schedule
    sample_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class Trained:
    """What a training has come to."""

    steps: int
    step_s: float | None
    """Median time of the last steps, seconds, without sampling and checkpoints; None if none was left to do."""


def warmed_cosine(peak: float, *, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up to the peak, then a cosine down to a hundredth of it.

    Source: Loshchilov and Hutter 2017, SGDR, arXiv:1608.03983, without restarts.
    """
    warmup = min(warmup_steps, steps // 2)

    def rate(step: int) -> float:
        if step < warmup:
            return peak * (step + 1) / warmup
        progress = (step - warmup) / max(1, steps - warmup)
        cosine = (1 + math.cos(math.pi * min(1.0, progress))) / 2
        return peak * (FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine)

    return rate


def constant_then_linear(peak: float, *, steps: int, decay_steps: int) -> Schedule:
    """The peak, then over the last `decay_steps` a straight line that would reach 0 one step after the end.

    Source: Zhu et al. 2017, Unpaired Image-to-Image Translation, arXiv:1703.10593, section 7.1.
    """
    return lambda step: peak * min(1.0, (steps - step) / max(1, decay_steps))


def sample_indices(step: int, *, count: int, batch_size: int, seed: int) -> np.ndarray:
    """Which of `count` samples the batch of a step holds: every epoch a new order, every sample once an epoch.

    Returns:
        `(batch_size,)` int64. A batch may run over into the next epoch.
    """
    places = [divmod(position, count) for position in range(step * batch_size, (step + 1) * batch_size)]
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch, _ in places}
    return np.array([orders[epoch][place] for epoch, place in places])


def run_identity(*parts: Any) -> str:
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
    finished: Callable[[int], bool] = lambda step: False,
) -> Trained:
    """Train a compiled model to the plan's end, from its last checkpoint if there is one.

    Args:
        model: Compiled, with a learning rate that is a plain variable.
        plan: Length and intervals.
        batch: What `train_on_batch` takes at a step.
        work: Folder for the checkpoint and the TensorBoard logs; kept when the run is killed.
        run_identity: From `identity`; a checkpoint of another run is refused.
        sample: Called every `sample_every` steps and at the end; draws, measures, returns numbers to log.
        finished: Asked after each sample whether to end early, with the steps done; and by a run that goes on, so that
            it must be able to answer from what earlier samples left behind.

    Raises:
        UsageError: If `work` holds the checkpoint of a run with other settings.
    """
    from tensorboard.summary import Writer

    work.mkdir(parents=True, exist_ok=True)
    first_step = restore_checkpoint(model, work, run_identity)
    logs = Writer(str(work / "tensorboard"))
    done, durations = first_step, deque[float](maxlen=_LOG_EVERY)
    with tqdm(total=plan.steps, initial=first_step, desc="training", unit="step") as bar:
        while done < plan.steps and not (done % plan.sample_every == 0 and finished(done)):
            rate = plan.learning_rate(done)
            model.optimizer.learning_rate = rate
            started = time.perf_counter()
            losses = model.train_on_batch(*batch(done), return_dict=True)
            durations.append(time.perf_counter() - started)
            done += 1
            bar.update()
            if done % _LOG_EVERY == 0 or done == plan.steps:
                bar.set_postfix({name: f"{value:.4f}" for name, value in losses.items()})
                _log(logs, done, {**losses, "learning_rate": rate})
                model.reset_metrics()
            if done % plan.sample_every == 0 or done == plan.steps:
                _log(logs, done, sample(done))
            if done % plan.checkpoint_every == 0 or done == plan.steps:
                save_checkpoint(model, work, run_identity, done)
    logs.close()
    return Trained(done, statistics.median(durations) if durations else None)


def refresh_batch_statistics(net: keras.Model, photos: Callable[[int], np.ndarray], steps: int) -> None:
    """Renew BatchNorm's statistics, which averaged weights make stale, by photos; nothing else of a net moves.

    Args:
        net: Left alone where it has no such statistics.
        photos: The batch of a step, `(batch, height, width, 3)`.
        steps: How many batches.
    """
    if not net.non_trainable_variables:
        return
    for step in range(steps):
        net(photos(step), training=True)


def save_checkpoint(model: keras.Model, work: Path, run_identity: str, step: int) -> None:
    """Write weights, optimiser state and step under a temporary name, flush, rename: never a torn checkpoint."""
    arrays: dict[str, Any] = {f"variable_{index}": value for index, value in enumerate(_state(model))}
    arrays |= {"step": step, "identity": run_identity}
    partial = work / f"{_CHECKPOINT_NAME}.partial"
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(work / _CHECKPOINT_NAME)


def restore_checkpoint(model: keras.Model, work: Path, run_identity: str) -> int:
    """Put a checkpoint's state back.

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
    """Whether a run has something to go on from; cheap, so that a stage can ask before it reads its data.

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
                "Give the same settings to go on with it, or delete the folder to start anew."
            )
    return True


def _state_variables(model: keras.Model) -> list[Any]:
    model.optimizer.build(model.trainable_variables)
    metrics = {id(variable) for variable in model.metrics_variables}
    return [variable for variable in [*model.variables, *model.optimizer.variables] if id(variable) not in metrics]


def _state(model: keras.Model) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(variable.value)) for variable in _state_variables(model)]


def _log(logs: Any, step: int, numbers: Mapping[str, float]) -> None:
    for name, value in numbers.items():
        logs.add_scalar(name, float(value), step)
