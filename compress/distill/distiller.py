"""A student with its losses, as a Keras model that any backend trains."""

from typing import Any

import keras
from keras import ops

from compress.distill import losses
from compress.distill.config import FitConfig


class Distiller(keras.Model):
    """Wraps a student so that `train_on_batch(photos, teacher_images)` pulls it towards its teacher."""

    def __init__(self, student: keras.Model, config: FitConfig) -> None:
        super().__init__(name="distiller")
        self.student = student
        self._terms = {
            "l1": (config.l1_weight, losses.l1),
            "ssim": (config.ssim_weight, losses.dissimilarity),
            "gradient": (config.gradient_weight, losses.gradient_difference),
        }
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self._terms}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*super().metrics, *self._trackers.values()]

    def call(self, photos: Any, training: bool | None = None) -> Any:
        return self.student(photos, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The weighted sum of the terms, in float32 whatever the student's arithmetic; a weight of 0 costs nothing."""
        generated, target = ops.cast(y_pred, "float32"), ops.cast(y, "float32")
        total = ops.zeros(())
        for name, (weight, loss) in self._terms.items():
            if weight:
                value = loss(generated, target)
                self._trackers[name].update_state(value)
                total = total + weight * value
        return total


def compiled(student: keras.Model, config: FitConfig) -> Distiller:
    """A distiller with Adam, its weights averaged where the configuration says so."""
    optimizer = keras.optimizers.Adam(
        learning_rate=config.learning_rate,
        beta_1=0.9,
        beta_2=0.99,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
        # Keras would otherwise write the average over the weights while training still goes on.
        ema_overwrite_frequency=None,
    )
    distiller = Distiller(student, config)
    # XLA compiles convolutions for CPUs without oneDNN: slower steps after a minute of compiling. JAX compiles anyway.
    distiller.compile(optimizer=optimizer, jit_compile=keras.backend.backend() == "jax")
    distiller.build(student.input_shape)
    return distiller
