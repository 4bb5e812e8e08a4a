"""TFMOT's quantisation-aware training by the settings of `compress quantize`, and the file that comes of it.

Same photos in the same order, same mirroring, losses, Adam, learning rates and averaging of weights, and BatchNorm
statistics refreshed behind it. What differs is TFMOT's: BatchNorm stays a layer and folds in the converter, and ranges
run with a memory of 1000 batches instead of 100. Of tf_keras: the average starts from the given weights, where that of
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
from tqdm import tqdm

from benchmarks.quantizers.tfmot.job import Job, Trained
from benchmarks.quantizers.tfmot.student import copied, made_quantizable
from compress.distill import fit
from compress.distill.distiller import adam_settings
from compress.distill.loss_terms import loss_terms
from compress.distill.training_data.pairs import Pairs
from export.quantize.config import QuantizeConfig

LARGEST_COPY_DIFFERENCE = 1e-4


def train(job: Job) -> Trained:
    """Copy, train and convert a student.

    Raises:
        RuntimeError: If the float copy's pictures are not the student's; a bug.
    """
    copy = copied(job.description)
    difference = float(np.abs(copy.predict_on_batch(job.shown) - job.expected).max())
    if difference > LARGEST_COPY_DIFFERENCE:
        raise RuntimeError(f"the copy's pictures differ from the student's by up to {difference}.")
    model, annotated = made_quantizable(copy)
    pairs = Pairs(*(np.load(path, mmap_mode="r") for path in (job.photos, job.targets)), rows=job.rows)
    if job.calibrated:
        start_ranges(model, pairs, job.config)
    durations = fit_model(model, pairs, job.config)
    return Trained(
        content=converted(model),
        copy_difference=difference,
        annotated=annotated,
        step_s=statistics.median(durations),
    )


def fit_model(model: Any, pairs: Pairs, config: QuantizeConfig) -> list[float]:
    """Train a `tf_keras.Model` in place as `compress.distill.fit` trains a Keras 3 one.

    Returns:
        How long each step took, seconds.
    """
    optimizer = tf_keras.optimizers.Adam(**adam_settings(config), jit_compile=False)
    model.compile(optimizer=optimizer, loss=partial(_loss, loss_terms(config).values()))
    rate, durations = fit.training_plan(config).learning_rate, []
    for step in tqdm(range(config.steps), desc="TFMOT", unit="step"):
        started = time.perf_counter()
        _take_step(model, pairs, config, step, rate(step))
        durations.append(time.perf_counter() - started)
    if config.ema_momentum:
        optimizer.finalize_variable_values(model.trainable_variables)
        for step in range(min(fit.STATISTICS_STEPS, config.steps)):
            _take_step(model, pairs, config, step, 0.0)
    return durations


def _take_step(model: Any, pairs: Pairs, config: QuantizeConfig, step: int, rate: float) -> None:
    model.optimizer.learning_rate.assign(rate)
    model.train_on_batch(*fit.training_batch(pairs, config, step))


def _loss(losses: Any, target: Any, made: Any) -> Any:
    """The very terms of our own training; `keras.ops` compute on TensorFlow's tensors, whichever Keras made them."""
    return sum(term.weight * term.difference(made, target) for term in losses)


def start_ranges(model: Any, pairs: Pairs, config: QuantizeConfig) -> None:
    """Let every range start from the mean extremes of some batches; BatchNorm's statistics come to these photos, too.

    TFMOT's own start is -6 to 6 for every tensor, of which after 300 batches 74 % are left.
    """
    for step in range(max(1, config.calibration_images // config.batch_size)):
        with _remembering(step / (step + 1)):
            model(fit.training_batch(pairs, config, step)[0], training=True)


@contextmanager
def _remembering(share: float) -> Iterator[None]:
    """TFMOT writes 0.999 into its code: of each range, this share of what it was is kept in a batch instead."""
    original = quant_ops.MovingAvgQuantize

    def forgetting(*arguments: Any, ema_decay: float, **options: Any) -> Any:
        return original(*arguments, ema_decay=share, **options)

    with mock.patch.object(quant_ops, "MovingAvgQuantize", forgetting):
        yield


def converted(model: Any) -> bytes:
    """The int8 `.tflite` file of a quantisation-aware model, int8 from end to end."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()
