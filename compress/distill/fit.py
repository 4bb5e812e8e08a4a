"""Training of a student on pairs of photos and teacher images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from compress.distill import distiller
from compress.distill.config import HISTORY, FitConfig, TrainConfig
from compress.distill.step_inputs import RealImages, step_inputs, step_pairs
from compress.distill.training_data.build import TrainingData
from compress.distill.training_data.occluders.paste import draw_occluders
from compress.distill.training_data.pairs import Pairs, TargetImages
from compress.distill.watch.history import History
from compress.distill.watch.monitor import Monitor
from compress.distill.watch.pictures import draw_sheet, translate_held_back
from compress.distill.watch.reference import Watch
from compress.faces.template import AlignmentTemplate
from compress.training import checkpoint, loop, replicas, schedules
from compress.training.fast_layers import with_fast_layers
from compress.training.precision import Policy, dtype_policy_scope, resolve_policy


@dataclass(frozen=True)
class FittedStudent:
    """A finished student with its scores on photos that it was not trained on."""

    student: keras.Model
    held_back_psnr_db: float
    """Mean PSNR to the teacher's images of the held-back training photos, dB."""
    held_back_photos: int
    """How many they were."""
    sheet: np.ndarray
    """Rows of photo, teacher's image, student's image; `(height, width, 3)` uint8."""
    history: History
    """What the held-back photos measured on the way, each time with the weights that would have been kept."""
    stopped: str | None
    """Why the training ended before its last step; None where it did not."""
    images_per_s: float | None
    """Photos trained on per second in the last steps; None where a run had none left to do."""
    precision: Policy
    """Arithmetic of the training."""
    teacher_precision: Policy
    """Arithmetic that the teacher's images were made in."""


def fit(
    training_data: TrainingData,
    config: FitConfig,
    work: Path,
    run_identity: str,
    *,
    start: Callable[[], keras.Model],
    watch: Watch | None = None,
    name: str,
) -> FittedStudent:
    """Train a student, resuming from the checkpoint in `work` if there is one.

    Args:
        training_data: Photos, targets and what losses need beside them.
        config: Training, losses and discriminator.
        work: Where checkpoint, logs and sample sheets lie.
        run_identity: See `loop.train`.
        start: Makes the student to start from, in the arithmetic that `keras.config.dtype_policy` asks for.
        watch: How KID is watched beside PSNR; None watches PSNR alone.
        name: What the progress of the training is called.

    Returns:
        The student in float32, with the weights that `History.chosen` tells of.
    """
    training_pairs, held_back = training_data.pairs.split(config.holdout, config.seed)
    real = _real_images(training_data, training_pairs, config)
    teacher = training_data.teacher(needed=distiller.sees_teacher(config))
    policy = resolve_policy(config.precision, work)
    keras.utils.set_random_seed(config.seed)
    with dtype_policy_scope(policy), replicas.current().scope():
        model = distiller.compile_distiller(with_fast_layers(start()), config, teacher)

    if not checkpoint.has_checkpoint(work, run_identity):
        # What a run measured that was killed before its first checkpoint may have come from other settings.
        (work / HISTORY).unlink(missing_ok=True)

    alignment = training_data.alignment

    def step_batch(step: int) -> loop.Batch:
        photos, targets = step_pairs(*training_batch(training_pairs, config, step, alignment), step, config)
        return step_inputs(photos, step, config, real, alignment), targets

    def whole_photos(step: int) -> np.ndarray:
        return training_batch(training_pairs, config, step, alignment)[0]

    student = start()
    monitor = Monitor(model, student, whole_photos, held_back, config, work, watch)
    trained = loop.train(
        model,
        training_plan(config),
        step_batch,
        work=work,
        run_identity=run_identity,
        sample=monitor.sample,
        finished=monitor.finished,
        name=name,
    )
    monitor.load_chosen(trained.steps)
    pictures = translate_held_back(student, held_back)
    return FittedStudent(
        student=student,
        held_back_psnr_db=pictures.psnr_db,
        held_back_photos=len(held_back),
        sheet=draw_sheet(held_back, pictures.pixels),
        history=monitor.history(trained.steps),
        stopped=monitor.explain_end(trained.steps),
        images_per_s=None if trained.step_s is None else round(config.batch_size / trained.step_s, 3),
        precision=policy,
        teacher_precision=training_data.teacher_precision,
    )


def _real_images(training_data: TrainingData, pairs: Pairs, config: FitConfig) -> RealImages | None:
    """Return what a discriminator takes for real: real images or, without any, the teacher's; None without one."""
    if not config.adversarial_weight:
        return None
    return TargetImages(pairs) if training_data.real is None else training_data.real


def training_batch(
    pairs: Pairs, config: TrainConfig, step: int, alignment: AlignmentTemplate | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return photos and targets of a step, as `Pairs.batch` does, occluded and mirrored as the configuration says.

    Args:
        pairs: What the batch is drawn from.
        config: The seed, the size of a batch, and what is done to its images.
        step: Number of the step.
        alignment: Where faces lie in the photos; None where nobody knows.
    """
    positions = loop.sample_indices(step, count=len(pairs), batch_size=config.batch_size, seed=config.seed)
    mirrored = np.random.default_rng((config.seed, step, 1)).random(config.batch_size) < 0.5
    occluders: list[np.ndarray | None] = []
    if config.augment == "occluders":
        seeds = [(config.seed, step, 9, photo) for photo in positions.tolist()]
        occluders = draw_occluders(seeds, pairs.photos.shape[1], alignment)
    return pairs.batch(positions, mirrored if config.flip else None, occluders)


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
