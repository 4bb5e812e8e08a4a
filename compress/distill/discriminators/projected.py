"""A discriminator that sees images through the pretrained network which the perceptual losses see them through."""

from typing import Any

from keras import ops

from compress.distill.config import DiscriminatorConfig
from compress.distill.discriminators.base import StudentDiscriminator
from compress.distill.loss_terms import Compared, mean_of
from compress.distill.losses import adversarial
from compress.distill.perceptual import PerceptualNetwork, as_list
from compress.models import projected_discriminator
from compress.models.patch_discriminator import frozen_scores

INPUTS = ("real", "adversarial_scale")
"""Inputs of a step for the discriminator: real images, and the share of its weight that the student's loss has."""


class ProjectedDiscriminator(StudentDiscriminator):
    """Heads over a frozen network's features, with the losses of both sides; no pool of older images.

    Args:
        config: Its width, its loss, and when it is held back.
        network: The frozen network.
    """

    inputs: tuple[str, ...] = INPUTS
    judges: Compared = "perceived"

    def __init__(self, config: DiscriminatorConfig, network: PerceptualNetwork) -> None:
        super().__init__(
            config,
            projected_discriminator.build_discriminator(network.widths, filters=config.chosen_discriminator_filters),
        )
        # No layer of ours: it is neither trained nor written into checkpoints.
        self._perceive = network.__call__

    def compute_losses(self, pairs: list[tuple[Any, Any]], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the losses of the network's features of the student's and of the teacher's images, a pair a scale."""
        fake = [student for student, _ in pairs]
        scores = as_list(frozen_scores(self.network, fake))
        student_loss = mean_of([adversarial.generator_loss(one, kind=self._kind) for one in scores])
        weight = self._student_weight * ops.mean(inputs["adversarial_scale"])
        total, logged = self._add_own_loss(weight * student_loss, self._discriminator_loss(fake, inputs["real"]))
        return total, {"adversarial": student_loss, **logged}

    def _discriminator_loss(self, fake: list[Any], real: Any) -> Any:
        """Return the discriminator's loss; the student's images are constants in it."""
        scores_fake, scores_real = (
            as_list(self.network([ops.stop_gradient(one) for one in features], training=True))
            for features in (fake, self._perceive(real))
        )
        pairs = zip(scores_real, scores_fake, strict=True)
        return mean_of([adversarial.discriminator_loss(*pair, kind=self._kind) for pair in pairs])
