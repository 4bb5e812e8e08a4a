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
from functools import partial
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np

from compress.console.progress import progress
from compress.training import replicas
from compress.training.checkpoint import restore_checkpoint, save_checkpoint, state_variables
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

    Where processes train together, the chief alone samples and writes; the others end, exit code 0, with the training.

    Args:
        model: Compiled, with a learning rate that is a plain variable; made in the scope of `replicas.current`.
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
    together = replicas.current()
    first_step = _restore(model, work, run_identity)
    if first_step:
        _logger.info("%s: goes on after step %d of %d", name, first_step, plan.steps)
    logs = _Logs(work)
    done, durations = first_step, deque[float](maxlen=_LOG_EVERY)
    bar = None
    with ExitStack() as shown, _Batches(batch) as batches:
        while done < plan.steps and not (done % plan.sample_every == 0 and together.agree(partial(finished, done))):
            rate = plan.learning_rate(done)
            model.optimizer.learning_rate = rate
            started = time.perf_counter()
            ahead = (done + 1) % plan.sample_every != 0 and done + 1 < plan.steps
            losses = together.train_on_batch(model, batches.take(done, prepare_next=ahead))
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
                logs.add(done, {**losses, "learning_rate": rate})
                model.reset_metrics()
            if together.is_chief and (done % plan.sample_every == 0 or done == plan.steps):
                logs.add(done, sample(done))
            if together.is_chief and (done % plan.checkpoint_every == 0 or done == plan.steps):
                save_checkpoint(model, work, run_identity, done)
    logs.close()
    if not together.is_chief:
        # What is left is measured and written by the chief.
        raise SystemExit(0)
    return TrainResult(done, statistics.median(durations) if durations else None)


def _restore(model: keras.Model, work: Path, run_identity: str) -> int:
    """Restore the last checkpoint, which the chief alone reads, in all processes; return how many steps were done."""
    together = replicas.current()
    work.mkdir(parents=True, exist_ok=True)
    # Variables that are made while TensorFlow traces the first step have it trace that step twice, and cost more there.
    with together.scope():
        model.optimizer.build(model.trainable_variables)
    done = together.agree(lambda: restore_checkpoint(model, work, run_identity))
    together.spread(state_variables(model))
    together.prepare(model)
    return done


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


class _Logs:
    """TensorBoard's logs, which the chief alone writes."""

    def __init__(self, work: Path) -> None:
        from tensorboard.summary import Writer

        self._writer = Writer(str(work / "tensorboard")) if replicas.current().is_chief else None

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Add numbers of a step."""
        if self._writer is not None:
            for name, value in numbers.items():
                self._writer.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()
