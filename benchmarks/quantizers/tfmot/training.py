"""TFMOT's quantisation-aware training with the settings of `compress quantize`, and the resulting file.

Same photos in the same order, same mirroring, losses, Adam, learning rates and averaging of weights, and BatchNorm
statistics refreshed behind it. What differs is TFMOT's: BatchNorm stays a layer and folds in the converter, and ranges
run with a memory of 1000 batches instead of 100. In tf_keras the average starts from the initial weights, where that of
Keras 3 starts from those after the first step.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow_model_optimization.python.core.quantization.keras import quant_ops

from benchmarks.quantizers.tfmot.job import Trained, TrainingJob
from benchmarks.quantizers.tfmot.student import build_copy, insert_fake_quantization
from compress.console.progress import progress
from compress.distill import fit
from compress.distill.config import FitConfig, TrainConfig
from compress.distill.loss_terms import loss_terms
from compress.distill.optimizer import adam_settings
from compress.distill.training_data.pairs import Pairs
from compress.distill.watch.monitor import STATISTICS_STEPS

LARGEST_COPY_DIFFERENCE = 1e-4


def train_copy(job: TrainingJob) -> Trained:
    """Copy, train and convert a student.

    Raises:
        RuntimeError: If the float copy's pictures are not the student's; a bug.
    """
    copy = build_copy(job.description)
    difference = float(np.abs(copy.predict_on_batch(job.check_photos) - job.expected).max())
    if difference > LARGEST_COPY_DIFFERENCE:
        raise RuntimeError(f"the copy's pictures differ from the student's by up to {difference}.")
    model, annotated = insert_fake_quantization(copy)
    pairs = Pairs(*(np.load(path, mmap_mode="r") for path in (job.photos, job.targets)), rows=job.rows)
    if job.calibrated:
        start_ranges(model, pairs, job.config, job.calibration_images)
    durations = fit_model(model, pairs, job.config)
    return Trained(
        content=convert_to_tflite(model),
        copy_difference=difference,
        annotated=annotated,
        step_s=statistics.median(durations),
    )


def fit_model(model: Any, pairs: Pairs, config: FitConfig) -> list[float]:
    """Train a `tf_keras.Model` in place as `compress.distill.fit` trains a Keras 3 one.

    Returns:
        The duration of each step, seconds.
    """
    optimizer = tf_keras.optimizers.Adam(**adam_settings(config), jit_compile=False)
    model.compile(optimizer=optimizer, loss=partial(_loss, loss_terms(config).values()))
    rate, durations = fit.training_plan(config).learning_rate, []
    for step in progress(range(config.steps), name="TFMOT", unit="step"):
        started = time.perf_counter()
        _take_step(model, pairs, config, step, rate(step))
        durations.append(time.perf_counter() - started)
    if config.ema_momentum:
        optimizer.finalize_variable_values(model.trainable_variables)
        for step in range(min(STATISTICS_STEPS, config.steps)):
            _take_step(model, pairs, config, step, 0.0)
    return durations


def _take_step(model: Any, pairs: Pairs, config: TrainConfig, step: int, rate: float) -> None:
    model.optimizer.learning_rate.assign(rate)
    model.train_on_batch(*fit.training_batch(pairs, config, step))


def _loss(losses: Any, target: Any, fake: Any) -> Any:
    """Return the loss of our own training; `keras.ops` compute on TensorFlow's tensors, whichever Keras made them."""
    return sum(term.weight * term.difference(fake, target) for term in losses)


def start_ranges(model: Any, pairs: Pairs, config: TrainConfig, calibration_images: int) -> None:
    """Start every range from the mean extremes of some batches; BatchNorm's statistics follow these photos, too.

    TFMOT's own start is -6 to 6 for every tensor, of which after 300 batches 74 % are left.
    """
    for step in range(max(1, calibration_images // config.batch_size)):
        with _with_range_momentum(step / (step + 1)):
            model(fit.training_batch(pairs, config, step)[0], training=True)


@contextmanager
def _with_range_momentum(momentum: float) -> Iterator[None]:
    """Keep this share of a range in each batch, instead of the 0.999 that TFMOT has in its code."""
    original = quant_ops.MovingAvgQuantize

    def with_momentum(*arguments: Any, ema_decay: float, **options: Any) -> Any:
        return original(*arguments, ema_decay=momentum, **options)

    with mock.patch.object(quant_ops, "MovingAvgQuantize", with_momentum):
        yield


def convert_to_tflite(model: Any) -> bytes:
    """Return the int8 `.tflite` file of a quantisation-aware model, int8 from end to end."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()
