"""Adam of a student and its discriminator: each with its own rate, and the student's average warmed up."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from compress.distill.config import TrainConfig
from compress.training import replicas

ADVERSARIAL_BETA_1 = 0.5
"""Momentum of a student beside a discriminator, CycleGAN's: 0.9 would carry it on to where it no longer is to go."""
DISCRIMINATOR_BETA_1 = 0.0
"""Momentum of a discriminator: none, since what it is to learn turns with every step of the student."""
LARGEST_GRADIENT = 5.0
"""Norm that a student's gradients are scaled down to: the first steps beside a discriminator would tear it about."""


class StudentAdam(keras.optimizers.Adam):
    """Adam that moves a discriminator at its own rate, without momentum, and clips the student's gradients alone.

    The average of weights is short at first and grows with the steps, up to `ema_momentum`: at a constant 0.998 the
    first weights, which nobody wants, still count after hundreds of steps.

    Args:
        discriminator: Positions of the discriminator's variables among all that are trained.
        share: Factor on their learning rate.
        options: Arguments of `keras.optimizers.Adam`.

    Source of the ramp: `tf.train.ExponentialMovingAverage`, argument `num_updates`.
    """

    def __init__(self, discriminator: Sequence[int] = (), share: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self._discriminator, self._share = frozenset(discriminator), share

    @property
    def ema_momentum(self) -> Any:
        """Momentum of the average at this step."""
        steps = ops.cast(self.iterations, "float32")
        return ops.minimum(self._largest_ema_momentum, (1.0 + steps) / (10.0 + steps))

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._largest_ema_momentum = value

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        student = [one for place, one in enumerate(grads) if place not in self._discriminator and one is not None]
        squares = [ops.sum(ops.square(ops.cast(one, "float32"))) for one in replicas.total(student)]
        norm = ops.sqrt(sum(squares, ops.zeros(())))
        scale = LARGEST_GRADIENT / ops.maximum(norm, LARGEST_GRADIENT)
        clipped = [
            one if place in self._discriminator or one is None else one * ops.cast(scale, one.dtype)
            for place, one in enumerate(grads)
        ]
        return super().apply(clipped, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if self._get_variable_index(variable) not in self._discriminator:
            super().update_step(gradient, variable, learning_rate)
            return
        beta_1, self.beta_1 = self.beta_1, DISCRIMINATOR_BETA_1
        try:
            super().update_step(gradient, variable, learning_rate * self._share)
        finally:
            self.beta_1 = beta_1


def adam_settings(config: TrainConfig) -> dict[str, Any]:
    """Return Adam's arguments, for this training and any that is to be like it."""
    return {
        "learning_rate": config.learning_rate,
        "beta_1": 0.9,
        "beta_2": 0.99,
        "use_ema": config.ema_momentum > 0,
        "ema_momentum": config.ema_momentum or 0.99,
        # Keras would otherwise write the average over the weights while training still goes on.
        "ema_overwrite_frequency": None,
    }
