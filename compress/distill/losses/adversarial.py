"""The two sides of the game between a student and a discriminator that scores images."""

from typing import Any, Literal

from keras import ops

from compress.distill.losses.arithmetic import in_float32

AdversarialLoss = Literal["lsgan", "hinge"]

UNDECIDED: dict[AdversarialLoss, float] = {"lsgan": 0.25, "hinge": 1.0}
"""`judging` of a discriminator that gives every image the one score which is its best when it cannot tell them apart."""


@in_float32
def generator_loss(scores_made: Any, *, kind: AdversarialLoss) -> Any:
    """The student's loss: how far the discriminator is from taking its images for real.

    Args:
        scores_made: The discriminator's scores of the student's images, of any shape.
        kind: `lsgan` pulls the scores to 1, Mao et al. 2017, Least Squares GAN, arXiv:1611.04076; `hinge` pushes them
            up without end, Lim and Ye 2017, Geometric GAN, arXiv:1705.02894.
    """
    if kind == "hinge":
        return -ops.mean(scores_made)
    return ops.mean(ops.square(scores_made - 1.0))


@in_float32
def discriminator_loss(scores_real: Any, scores_made: Any, *, kind: AdversarialLoss) -> Any:
    """The discriminator's loss: how badly it tells real images from made ones; never negative.

    Args:
        scores_real: Its scores of real images, of any shape.
        scores_made: Its scores of a student's images.
        kind: `lsgan` wants 1 and 0, `hinge` at least 1 and at most -1; sources as for `fooling`. Both sides are
            averaged, as CycleGAN does it.
    """
    if kind == "hinge":
        return (ops.mean(ops.relu(1.0 - scores_real)) + ops.mean(ops.relu(1.0 + scores_made))) / 2.0
    return (ops.mean(ops.square(scores_real - 1.0)) + ops.mean(ops.square(scores_made))) / 2.0
