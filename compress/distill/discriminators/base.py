"""What every discriminator of a student has: its loss, the bound at which it is held back, and the names it logs."""

from typing import Any

import keras
from keras import ops

from compress.distill.config import AdversarialLoss, DiscriminatorConfig
from compress.distill.loss_terms import Compared
from compress.distill.losses import adversarial
from compress.training import replicas

LOSSES = ("adversarial", "discriminator", "discriminator_held")
"""Names in the log: the student's loss, the discriminator's, and in how many steps it was held back."""


class StudentDiscriminator(keras.layers.Layer):
    """A discriminator with the losses of both sides.

    Args:
        config: Its loss, and when it is held back.
        network: Scores what it judges.
    """

    inputs: tuple[str, ...]
    """Entries of a step's inputs that it needs; before they come it rests."""
    judges: Compared
    """Pairs of the distiller that it scores."""
    logs: tuple[str, ...] = LOSSES
    """Names of what `compute_losses` logs."""

    def __init__(self, config: DiscriminatorConfig, network: keras.Model) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.network = network
        self._kind: AdversarialLoss = config.chosen_adversarial_loss
        self._hold_below = config.discriminator_hold_ratio * adversarial.UNDECIDED_LOSS[self._kind]
        self._student_weight = config.adversarial_weight
        self.built = True

    def compute_losses(self, pairs: list[tuple[Any, Any]], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the losses of both sides in one step.

        Args:
            pairs: The student's and the teacher's side of what it judges.
            inputs: Its `inputs`.

        Returns:
            The sum to minimise, which moves both sides, and `logs` for the log.
        """
        raise NotImplementedError

    def zero_loss(self) -> Any:
        """Return a zero that depends on all trained weights: before its first step their gradients are zero."""
        zeros = (0.0 * ops.sum(variable) for variable in self.network.trainable_variables)
        return sum(zeros, ops.zeros(()))

    def _add_own_loss(self, student_loss: Any, own_loss: Any) -> tuple[Any, dict[str, Any]]:
        """Return the sum of both sides' losses, its own left out while it is held back, and its part of the log."""
        held = ops.cast(replicas.mean(ops.stop_gradient(own_loss)) < self._hold_below, "float32")
        return student_loss + (1.0 - held) * own_loss, {"discriminator": own_loss, "discriminator_held": held}
