"""A small patch discriminator with a pool of older images, which is a variable of the distiller, too."""

from typing import Any

from keras import ops

from compress.distill.config import DiscriminatorConfig
from compress.distill.discriminators.base import StudentDiscriminator
from compress.distill.loss_terms import Compared, mean_of
from compress.distill.losses import adversarial
from compress.distill.losses.perceptual import feature_loss
from compress.models import patch_discriminator
from compress.training.image_pool import ImagePool

INPUTS = ("real", "slots", "show_new", "keep_new")
"""Inputs of a step for the discriminator: real images, and the pool's random choices."""
MATCHING = "matching"
"""Name in the log, where it has a weight, of the distance of the discriminator's features of the student's image to
those of the teacher's."""

_POOL_SIZE = 50


def pool_size(batch_size: int) -> int:
    """Return how many of the student's images are kept to be shown again: CycleGAN's 50, but at least a batch."""
    return max(_POOL_SIZE, batch_size)


class PatchDiscriminator(StudentDiscriminator):
    """A patch discriminator with its pool of older images and the losses of both sides.

    Args:
        config: Its width, its loss, and when it is held back.
        image_size_px: Side of the images that its pool keeps.
        batch_size: Images of a step.
    """

    inputs: tuple[str, ...] = INPUTS
    judges: Compared = "cut"

    def __init__(self, config: DiscriminatorConfig, image_size_px: int, batch_size: int) -> None:
        super().__init__(config, patch_discriminator.build_discriminator(filters=config.chosen_discriminator_filters))
        self._network_with_features = patch_discriminator.with_features(self.network)
        self.pool = ImagePool(pool_size(batch_size), (image_size_px, image_size_px))
        self._matching_weight = config.matching_weight
        if config.matching_weight:
            self.logs = (*self.logs, MATCHING)

    def compute_losses(self, pairs: list[tuple[Any, Any]], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the losses of one pair: the student's and the teacher's images, `(batch, height, width, 3)`."""
        ((fake, target),) = pairs
        generator_losses = self._generator_losses(fake, target)
        student_loss = self._student_weight * generator_losses["adversarial"]
        student_loss = student_loss + self._matching_weight * generator_losses.get(MATCHING, 0.0)
        total, logged = self._add_own_loss(student_loss, self._discriminator_loss(fake, inputs))
        return total, {**generator_losses, **logged}

    def _generator_losses(self, fake: Any, target: Any) -> dict[str, Any]:
        """Return the student's losses; the discriminator's weights are constants in them."""
        *features, scores = patch_discriminator.frozen_scores(self._network_with_features, fake)
        losses = {"adversarial": adversarial.generator_loss(scores, kind=self._kind)}
        if MATCHING not in self.logs:
            return losses
        *wanted, _ = patch_discriminator.frozen_scores(self._network_with_features, target)
        matched = [feature_loss(*pair) for pair in zip(features, wanted, strict=True)]
        return {**losses, MATCHING: mean_of(matched)}

    def _discriminator_loss(self, fake: Any, inputs: dict[str, Any]) -> Any:
        """Return the discriminator's loss; the student's images are constants in it, and some are older ones."""
        pooled = self.pool.query(ops.stop_gradient(fake), inputs["slots"], inputs["show_new"], inputs["keep_new"])
        scores_real, scores_fake = self.network(inputs["real"], training=True), self.network(pooled, training=True)
        return adversarial.discriminator_loss(scores_real, scores_fake, kind=self._kind)
