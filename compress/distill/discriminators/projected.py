"""A discriminator that sees images through the pretrained network which the perceptual losses see them through."""

from typing import Any

import keras
from keras import ops

from compress.distill.config import DiscriminatorConfig
from compress.distill.loss_terms import Compared
from compress.distill.losses import adversarial
from compress.distill.perceptual import PerceptualNetwork
from compress.models import projected_discriminator
from compress.models.patch_discriminator import frozen_scores

INPUTS = ("real", "adversarial_scale")
"""Inputs of a step for the discriminator: real images, and the share of its weight that the student's loss has."""
LOSSES = ("adversarial", "discriminator", "discriminator_held")
"""Names in the log: the student's loss, the discriminator's, and in how many steps it was held back."""


class ProjectedDiscriminator(keras.layers.Layer):
    """Heads over a frozen network's features, with the losses of both sides; no pool of older images.

    Args:
        config: Its width, its loss, and when it is held back.
        network: The frozen network.
    """

    inputs: tuple[str, ...] = INPUTS
    logs: tuple[str, ...] = LOSSES
    judges: Compared = "perceived"

    def __init__(self, config: DiscriminatorConfig, network: PerceptualNetwork) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.network = projected_discriminator.build_discriminator(
            network.widths, filters=config.chosen_discriminator_filters
        )
        # No layer of ours: it is neither trained nor written into checkpoints.
        self._perceive = network.__call__
        self._kind: adversarial.AdversarialLoss = config.chosen_adversarial_loss
        self._hold_below = config.discriminator_hold_ratio * adversarial.UNDECIDED_LOSS[self._kind]
        self._student_weight = config.adversarial_weight
        self.built = True

    def compute_losses(self, pairs: list[tuple[Any, Any]], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the losses of both sides in one step.

        Args:
            pairs: The network's features of the student's and of the teacher's images, a pair for each scale.
            inputs: `INPUTS`.

        Returns:
            The sum to minimise, which moves both sides, and `LOSSES` for the log.
        """
        fake = [student for student, _ in pairs]
        scores = frozen_scores(self.network, fake)
        student_loss = _mean([adversarial.generator_loss(one, kind=self._kind) for one in scores])
        own_loss = self._discriminator_loss(fake, inputs["real"])
        held = ops.cast(ops.stop_gradient(own_loss) < self._hold_below, "float32")
        logged = {"adversarial": student_loss, "discriminator": own_loss, "discriminator_held": held}
        weight = self._student_weight * ops.mean(inputs["adversarial_scale"])
        return weight * student_loss + (1.0 - held) * own_loss, logged

    def zero_loss(self) -> Any:
        """Return a zero that depends on all trained weights: before its first step their gradients are zero."""
        zeros = (0.0 * ops.sum(variable) for variable in self.network.trainable_variables)
        return sum(zeros, ops.zeros(()))

    def _discriminator_loss(self, fake: list[Any], real: Any) -> Any:
        """Return the discriminator's loss; the student's images are constants in it."""
        scores_fake = self.network([ops.stop_gradient(one) for one in fake], training=True)
        scores_real = self.network([ops.stop_gradient(one) for one in self._perceive(real)], training=True)
        pairs = zip(scores_real, scores_fake, strict=True)
        return _mean([adversarial.discriminator_loss(*pair, kind=self._kind) for pair in pairs])


def _mean(values: list[Any]) -> Any:
    return sum(values[1:], values[0]) / len(values)
