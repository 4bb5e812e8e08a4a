"""A small discriminator that is trained beside the student: real images of the target domain against the student's.

As in `teach.cyclegan`, each side's loss sees the other side as a constant, so one optimiser's step on the sum of both
is a step of each on its own loss. The discriminator, its optimiser's state and its pool of older images are variables of the
distiller: they lie in every checkpoint, and never in the finished artifact.

The discriminator is held back by gradients of zero while its loss is too small. Adam's momentum still carries it on a little,
for some ten steps. The loss as the measure of a discriminator that overpowers a small generator is the idea of Li et al. 2021,
Revisiting Discriminator in GAN Compression (GCC), arXiv:2110.14439, which masks the discriminator's channels instead.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from compress.distill.config import FitConfig
from compress.distill.losses import adversarial
from compress.distill.losses.perceptual import feature_loss
from compress.models import patch_discriminator
from compress.training.image_pool import ImagePool

INPUTS = ("real", "slots", "show_new", "keep_new")
"""What a step brings for the discriminator: real images, and the pool's random choices."""
LOSSES = ("adversarial", "discriminator", "discriminator_held")
"""What it logs: the student's loss, its own, and in how many steps it was held back."""
MATCHING = "matching"
"""What it logs where that has a weight: how far its features of the student's image are from the teacher's image's."""

_POOL_SIZE = 50


def pool_size(config: FitConfig) -> int:
    """How many of the student's images are kept to be shown again: CycleGAN's 50, but never fewer than a batch."""
    return max(_POOL_SIZE, config.batch_size)


class TwoRateAdam(keras.optimizers.Adam):
    """Adam whose steps are smaller for some variables: a discriminator as fast as a small student's 2e-3 overpowers it.

    Args:
        places: Of those variables among all that are trained.
        share: What their learning rate is multiplied by.
        options: Of Adam.
    """

    def __init__(self, places: Sequence[int], share: float, **options: Any) -> None:
        super().__init__(**options)
        self._places, self._share = frozenset(places), share

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        slow = self._get_variable_index(variable) in self._places
        super().update_step(gradient, variable, learning_rate * self._share if slow else learning_rate)


class StudentDiscriminator(keras.layers.Layer):
    """A patch discriminator and its pool.

    Args:
        config: Its width, its loss, and when it is held back.
        image_size_px: Side of the images that its pool keeps.
    """

    def __init__(self, config: FitConfig, image_size_px: int) -> None:
        super().__init__(name="discriminator", dtype="float32")
        self.judge = patch_discriminator.build(filters=config.discriminator_filters)
        self._watched = patch_discriminator.with_features(self.judge)
        self.pool = ImagePool(pool_size(config), (image_size_px, image_size_px))
        self._kind: adversarial.AdversarialLoss = config.adversarial_loss
        self._hold_below = config.discriminator_hold_ratio * adversarial.UNDECIDED[config.adversarial_loss]
        self._student_weight, self._matching_weight = config.adversarial_weight, config.matching_weight
        self.logs = (*LOSSES, MATCHING) if config.matching_weight else LOSSES
        self.built = True

    def play(self, made: Any, target: Any, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """One round.

        Args:
            made: `(batch, height, width, 3)`, the student's images.
            target: The teacher's.
            inputs: `INPUTS`.

        Returns:
            What to minimise, which moves both sides, and `logs` for the log.
        """
        faced, judged = self._faced(made, target), self._judged(made, inputs)
        held = ops.cast(ops.stop_gradient(judged) < self._hold_below, "float32")
        ours = self._student_weight * faced["adversarial"] + self._matching_weight * faced.get(MATCHING, 0.0)
        return ours + (1.0 - held) * judged, {**faced, "discriminator": judged, "discriminator_held": held}

    def rest(self) -> Any:
        """A zero that knows all trained weights: before the discriminator's time the optimiser finds gradients of zero."""
        return sum((0.0 * ops.sum(variable) for variable in self.judge.trainable_variables), ops.zeros(()))

    def _faced(self, made: Any, target: Any) -> dict[str, Any]:
        """The student's losses; the discriminator's weights are constants in them."""
        *seen, scores = patch_discriminator.frozen_scores(self._watched, made)
        fooled = {"adversarial": adversarial.generator_loss(scores, kind=self._kind)}
        if MATCHING not in self.logs:
            return fooled
        *wanted, _ = patch_discriminator.frozen_scores(self._watched, target)
        matched = [feature_loss(*pair) for pair in zip(seen, wanted, strict=True)]
        return {**fooled, MATCHING: sum(matched[1:], matched[0]) / len(matched)}

    def _judged(self, made: Any, inputs: dict[str, Any]) -> Any:
        """The discriminator's loss; the student's images are constants in it, and some of them are older ones."""
        shown = self.pool.query(ops.stop_gradient(made), inputs["slots"], inputs["show_new"], inputs["keep_new"])
        scores_real, scores_made = self.judge(inputs["real"], training=True), self.judge(shown, training=True)
        return adversarial.discriminator_loss(scores_real, scores_made, kind=self._kind)
