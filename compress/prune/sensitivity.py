"""Gradients for Taylor importance: of the distillation loss, on calibration photos, batch by batch."""

from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np

from compress.distill.config import FitConfig
from compress.distill.distiller import Distiller, sees_teacher
from compress.distill.training_data.build import TrainingData
from compress.models.io import clone
from compress.prune.importance import Gradients

_LEARNING_RATE = 1e3
"""Learning rate of the step that gradients are read off: large, so that the weights' last digits do not hide them."""


def gradients_on(
    model: keras.Model, training_data: TrainingData, config: FitConfig, *, images: int
) -> Iterator[Gradients]:
    """Yield the gradients of a student's kernels for each calibration batch.

    BatchNorm uses its moving statistics, as the finished student does.

    Args:
        model: The student; it is left as it is.
        training_data: Photos, the teacher's images and the teacher.
        config: Weights of the losses, batch size and seed.
        images: How many pairs to use at most, the same ones for the same seed.
    """
    # A discriminator that has learned nothing yet has nothing to say of a finished student.
    without_phases = replace(
        config, adversarial_weight=0.0, matching_weight=0.0, l1_final_scale=1.0, discriminator_crop_px=None
    )
    student = clone(model)
    for layer in student.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    distiller = Distiller(student, without_phases, training_data.teacher(needed=sees_teacher(config)))
    # Keras has no way to ask every backend for gradients; one step of plain descent leaves them in the weights. So few
    # steps do not pay for compiling them.
    distiller.compile(optimizer=keras.optimizers.SGD(_LEARNING_RATE), run_eagerly=True)
    before = student.get_weights()
    order = np.random.default_rng(config.seed).permutation(len(training_data.pairs))[:images]
    for first in range(0, len(order), config.batch_size):
        student.set_weights(before)
        distiller.train_on_batch(*training_data.pairs.batch(order[first : first + config.batch_size]))
        yield {
            layer.name: (_kernel(model.get_layer(layer.name)) - _kernel(layer)) / _LEARNING_RATE
            for layer in student.layers
            if isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose)
        }


def _kernel(layer: keras.layers.Layer) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer.kernel.value), dtype=np.float64)  # pyright: ignore[reportAttributeAccessIssue]
