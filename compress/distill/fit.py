"""Training of a student on pairs of photos and teacher images."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from compress import images
from compress.artifact import atomic_write_text
from compress.distill import distiller
from compress.distill.config import HISTORY, FitConfig, TrainConfig
from compress.distill.step_inputs import step_inputs
from compress.distill.training_data.build import TrainingData
from compress.distill.training_data.pairs import Pairs
from compress.training import checkpoint, loop, schedules
from compress.training.precision import Policy, dtype_policy_scope, resolve_policy

STATISTICS_STEPS = 100
"""Steps that refresh BatchNorm's statistics after averaged weights are put in; no more than were trained."""
_SHEET_ROWS = 6
_PSNR_CEILING_DB = 10 * math.log10(4 / 1e-10)
"""PSNR that counts for an image equal to its target, so that the mean stays finite."""


@dataclass(frozen=True)
class FittedStudent:
    """A finished student with its scores on photos that it was not trained on."""

    student: keras.Model
    held_back_psnr_db: float
    """Mean PSNR to the teacher's images of the held-back training photos, dB."""
    sheet: np.ndarray
    """Rows of photo, teacher's image, student's image; `(height, width, 3)` uint8."""
    history: list[dict[str, Any]]
    """The history in `HISTORY`, measured with the weights of each step, which were not averaged yet."""
    images_per_s: float | None
    """Photos trained on per second in the last steps; None where a run had none left to do."""
    precision: Policy
    """Arithmetic of the training."""


def fit(
    training_data: TrainingData,
    config: FitConfig,
    work: Path,
    run_identity: str,
    *,
    start: Callable[[], keras.Model],
) -> FittedStudent:
    """Train a student, resuming from the checkpoint in `work` if there is one.

    Args:
        training_data: Photos, targets and what losses need beside them.
        config: Training, losses and discriminator.
        work: Where checkpoint, logs and sample sheets lie.
        run_identity: See `loop.train`.
        start: Makes the student to start from, in the arithmetic that `keras.config.dtype_policy` asks for.

    Returns:
        The student in float32; after at least one step, with averaged weights and BatchNorm statistics that fit them.
    """
    training_pairs, held_back = training_data.pairs.split(config.holdout, config.seed)
    policy = resolve_policy(config.precision, work)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy_scope(policy):
        model = distiller.compile_distiller(start(), config, training_data.teacher)

    if not checkpoint.has_checkpoint(work, run_identity):
        # What a run measured that was killed before its first checkpoint may have come from other settings.
        (work / HISTORY).unlink(missing_ok=True)

    def step_batch(step: int) -> loop.Batch:
        photos, targets = training_batch(training_pairs, config, step)
        return step_inputs(photos, step, config, training_data.real), targets

    def sample(step: int) -> Mapping[str, float]:
        images.write_png(work / f"samples-{step:06d}.png", _sheet(model.student, held_back))
        measured = {"held_back_psnr_db": held_back_psnr_db(model.student, held_back)}
        _keep(work, step, measured)
        return measured

    trained = loop.train(model, training_plan(config), step_batch, work=work, run_identity=run_identity, sample=sample)
    if config.ema_momentum and config.steps:
        model.optimizer.finalize_variable_values(model.trainable_variables)
        steps = min(STATISTICS_STEPS, config.steps)
        loop.refresh_batch_statistics(
            model.student, lambda step: training_batch(training_pairs, config, step)[0], steps
        )
    student = start()
    student.set_weights(model.student.get_weights())
    images_per_s = None if trained.step_s is None else round(config.batch_size / trained.step_s, 3)
    return FittedStudent(
        student, held_back_psnr_db(student, held_back), _sheet(student, held_back), _history(work), images_per_s, policy
    )


def training_batch(pairs: Pairs, config: TrainConfig, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return photos and targets of a step, as `Pairs.batch` does, mirrored where the configuration says so."""
    positions = loop.sample_indices(step, count=len(pairs), batch_size=config.batch_size, seed=config.seed)
    mirrored = np.random.default_rng((config.seed, step, 1)).random(config.batch_size) < 0.5
    return pairs.batch(positions, mirrored if config.flip else None)


def training_plan(config: TrainConfig) -> loop.Plan:
    """Return length, learning rate and intervals of a training."""
    return loop.Plan(
        steps=config.steps,
        learning_rate=schedules.warmup_cosine(
            config.learning_rate, steps=config.steps, warmup_steps=config.warmup_steps
        ),
        sample_every=config.sample_every,
        checkpoint_every=config.checkpoint_every,
    )


def held_back_psnr_db(student: keras.Model, held_back: Pairs) -> float:
    """Return the mean PSNR of a student to the teacher's images of held-back photos, dB."""
    scores = []
    for position in range(len(held_back)):
        photos, targets = held_back.batch(np.array([position]))
        scores.append(min(images.psnr_db(_generate(student, photos) - targets), _PSNR_CEILING_DB))
    return float(np.mean(scores))


def _history(work: Path) -> list[dict[str, Any]]:
    path = work / HISTORY
    return json.loads(path.read_text(encoding="utf-8"))["history"] if path.exists() else []


def _keep(work: Path, step: int, measured: Mapping[str, float]) -> None:
    """Add a sample to the history; later ones, of a run that was killed after its last checkpoint, are dropped."""
    earlier = [point for point in _history(work) if point["step"] < step]
    record = {"history": [*earlier, {"step": step, **measured}]}
    atomic_write_text(work / HISTORY, json.dumps(record, indent=2) + "\n", overwrite=True)


def _generate(student: keras.Model, photos: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(student.predict_on_batch(photos)), dtype=np.float32)


def _sheet(student: keras.Model, held_back: Pairs) -> np.ndarray:
    photos, targets = held_back.batch(np.arange(min(_SHEET_ROWS, len(held_back))))
    generated = np.concatenate([_generate(student, photo[None]) for photo in photos])
    columns = [images.to_uint8(column) for column in (photos, targets, generated)]
    return images.contact_sheet([list(row) for row in zip(*columns, strict=True)])
