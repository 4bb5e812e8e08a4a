"""Discriminators that are trained beside a student: patches of its images, or a pretrained network's features of them.

As in `teach.cyclegan`, each side's loss sees the other side as a constant, so one optimiser's step on the sum of both
is a step of each on its own loss. A discriminator and its optimiser's state are variables of the distiller: they lie in
every checkpoint, and never in the finished artifact.

A discriminator is held back by gradients of zero while its loss is too small. Adam's momentum still carries it on a
little, for some ten steps. The loss as the measure of a discriminator that overpowers a small generator is the idea of
Li et al. 2021, Revisiting Discriminator in GAN Compression (GCC), arXiv:2110.14439, which masks the discriminator's
channels instead.
"""

from compress.distill.discriminators.base import StudentDiscriminator
from compress.distill.discriminators.patch import PatchDiscriminator
from compress.distill.discriminators.projected import ProjectedDiscriminator

__all__ = ["PatchDiscriminator", "ProjectedDiscriminator", "StudentDiscriminator"]
