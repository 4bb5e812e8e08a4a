"""Training loop that every trained stage shares: order of samples, checkpoints, resume, progress and TensorBoard.

A batch is a pure function of the seed and the step's number, so a run that was killed and resumes from its checkpoint
sees the same batches as one that was never killed, and the next batch can be prepared while a step is computed.
"""

import logging
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from compress.console.progress import progress
from compress.training.checkpoint import restore_checkpoint, save_checkpoint
from compress.training.schedules import Schedule

Batch = tuple[Any, ...]
"""Positional arguments of `train_on_batch`."""
_LOG_EVERY = 50

_logger = logging.getLogger(__name__)

# Keras's seeding and saving and TensorBoard load TensorFlow wherever it is installed. With another backend it is to
# stay out: beside torch it ends the interpreter.
if keras.backend.backend() != "tensorflow":
    sys.modules.setdefault("tensorflow", cast(Any, None))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Length, learning rate and intervals of a training."""

    steps: int
    learning_rate: Schedule
    sample_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class TrainResult:
    """Result of a training."""

    steps: int
    step_s: float | None
    """Median time of the last steps, seconds, without sampling and checkpoints; None if none was left to do."""


def sample_indices(step: int, *, count: int, batch_size: int, seed: int) -> np.ndarray:
    """Return which of `count` samples are in the batch of a step: a new order each epoch, each sample once an epoch.

    Returns:
        `(batch_size,)` int64. A batch may run over into the next epoch.
    """
    places = [divmod(position, count) for position in range(step * batch_size, (step + 1) * batch_size)]
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch, _ in places}
    return np.array([orders[epoch][place] for epoch, place in places])


def train(
    model: keras.Model,
    plan: Plan,
    batch: Callable[[int], Batch],
    *,
    work: Path,
    run_identity: str,
    sample: Callable[[int], Mapping[str, float]],
    finished: Callable[[int], bool] = lambda step: False,
    name: str,
) -> TrainResult:
    """Train a compiled model to the plan's end, resuming from its last checkpoint if there is one.

    Args:
        model: Compiled, with a learning rate that is a plain variable.
        plan: Length and intervals.
        batch: Returns what `train_on_batch` takes at a step; called on another thread, one step ahead between samples.
        work: Folder for the checkpoint and the TensorBoard logs; kept when the run is killed.
        run_identity: From `checkpoint.run_identity`; a checkpoint of another run is refused.
        sample: Called every `sample_every` steps and at the end; draws, measures, returns numbers to log.
        finished: Called with the steps done, after each sample and when a run resumes: whether to end early. It has to
            know from what earlier samples left on disk.
        name: What its progress is called.

    Raises:
        UsageError: If `work` holds the checkpoint of a run with other settings.
    """
    from tensorboard.summary import Writer

    work.mkdir(parents=True, exist_ok=True)
    # Variables that are made while TensorFlow traces the first step have it trace that step twice, and cost more there.
    model.optimizer.build(model.trainable_variables)
    first_step = restore_checkpoint(model, work, run_identity)
    if first_step:
        _logger.info("%s: goes on after step %d of %d", name, first_step, plan.steps)
    logs = Writer(str(work / "tensorboard"))
    done, durations = first_step, deque[float](maxlen=_LOG_EVERY)
    bar = None
    with ExitStack() as shown, _Batches(batch) as batches:
        while done < plan.steps and not (done % plan.sample_every == 0 and finished(done)):
            rate = plan.learning_rate(done)
            model.optimizer.learning_rate = rate
            started = time.perf_counter()
            ahead = (done + 1) % plan.sample_every != 0 and done + 1 < plan.steps
            losses = model.train_on_batch(*batches.take(done, prepare_next=ahead), return_dict=True)
            durations.append(time.perf_counter() - started)
            done += 1
            if bar is None:
                # The first step compiles: its time says nothing of the others'.
                _logger.info("%s: the first step took %.1f s, most of it to compile", name, durations[0])
                bar = shown.enter_context(progress(total=plan.steps, done=done, name=name, unit="step"))
            else:
                bar.update()
            if done % _LOG_EVERY == 0 or done == plan.steps:
                bar.set_postfix({loss: f"{value:.4f}" for loss, value in losses.items()}, refresh=False)
                _log(logs, done, {**losses, "learning_rate": rate})
                model.reset_metrics()
            if done % plan.sample_every == 0 or done == plan.steps:
                _log(logs, done, sample(done))
            if done % plan.checkpoint_every == 0 or done == plan.steps:
                save_checkpoint(model, work, run_identity, done)
    logs.close()
    return TrainResult(done, statistics.median(durations) if durations else None)


class _Batches:
    """Batches made on another thread, the next one while a step is computed."""

    def __init__(self, batch: Callable[[int], Batch]) -> None:
        self._batch = batch
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._prepared: dict[int, Future[Batch]] = {}

    def __enter__(self) -> "_Batches":
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()

    def take(self, step: int, *, prepare_next: bool) -> Batch:
        """Return the batch of a step, and start on the next one where that is sure to be needed."""
        batch = self._prepared.pop(step, None) or self._worker.submit(self._batch, step)
        arguments = batch.result()
        if prepare_next:
            self._prepared[step + 1] = self._worker.submit(self._batch, step + 1)
        return arguments


def _log(logs: Any, step: int, numbers: Mapping[str, float]) -> None:
    for name, value in numbers.items():
        logs.add_scalar(name, float(value), step)
