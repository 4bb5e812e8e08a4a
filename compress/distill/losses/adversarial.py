"""Adversarial losses of a student and of the discriminator that scores its images."""

from typing import Any

from keras import ops

from compress.distill.config import AdversarialLoss
from compress.distill.losses.precision import in_float32

UNDECIDED_LOSS: dict[AdversarialLoss, float] = {"lsgan": 0.25, "hinge": 1.0}
"""`discriminator_loss` of a discriminator that cannot tell real from fake: the best constant score for all images."""


@in_float32
def generator_loss(scores_fake: Any, *, kind: AdversarialLoss) -> Any:
    """Return the student's loss: how far the discriminator is from taking its images for real.

    Args:
        scores_fake: The discriminator's scores of the student's images, of any shape.
        kind: `lsgan` pulls the scores to 1, Mao et al. 2017, Least Squares GAN, arXiv:1611.04076; `hinge` pushes them
            up without end, Lim and Ye 2017, Geometric GAN, arXiv:1705.02894.
    """
    if kind == "hinge":
        return -ops.mean(scores_fake)
    return ops.mean(ops.square(scores_fake - 1.0))


@in_float32
def discriminator_loss(scores_real: Any, scores_fake: Any, *, kind: AdversarialLoss) -> Any:
    """Return the discriminator's loss: how badly it tells real images from fake ones; never negative.

    Args:
        scores_real: The discriminator's scores of real images, of any shape.
        scores_fake: The discriminator's scores of the student's images.
        kind: `lsgan` wants 1 and 0, `hinge` at least 1 and at most -1; sources as for `generator_loss`. Both sides are
            averaged, as CycleGAN does it.
    """
    if kind == "hinge":
        return (ops.mean(ops.relu(1.0 - scores_real)) + ops.mean(ops.relu(1.0 + scores_fake))) / 2.0
    return (ops.mean(ops.square(scores_real - 1.0)) + ops.mean(ops.square(scores_fake))) / 2.0
