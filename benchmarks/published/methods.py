"""Training methods of the peers: their shapes and their losses, written from the papers' descriptions.

The published schedules take hundreds of epochs. Here every method has the time, the photos, the batch, the optimiser,
its learning rate and its averaging of the student that it is compared with; only shape and losses are its own.

Three things are not as published. For all: the network that scores is never trained against, so where a paper takes
VGG, the teacher's own encoder takes its place. For GAN Compression: its discriminator is as small as ours. For OMGD:
the teacher is fixed and does not learn beside the student, and channels are compared without adaptors (see
`losses.channels`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.published.config import PeerMethod
from benchmarks.published.shapes import GAN_COMPRESSION, OMGD
from compress.models.mobile_resnet_generator import MobileResnetConfig

NARROW_FILTERS, NARROW_BLOCKS = 7, 9
"""Filters and blocks of CycleGAN's ResNet generator with as many parameters as OMGD's student: 0.14 million."""

_OMGD_LOSSES = {
    "ssim_weight": 10.0,
    "feature_weight": 10.0,
    "gram_weight": 1e4,
    "total_variation_weight": 1e-5,
    "channel_weight": 5e2,
}


@dataclass(frozen=True)
class DistilledMethod:
    """A method that has a teacher."""

    shape: MobileResnetConfig | None
    """Shape of the net; None keeps the student's own."""
    losses: Mapping[str, Any]
    """Fields of `FitConfig`; all other weights are 0."""


DISTILLED: Mapping[PeerMethod, DistilledMethod] = {
    # Li et al. 2020, arXiv:2003.08936, section 3.2: LSGAN against real images, the teacher's images in place of pairs,
    # and inner activations through 1x1 convolutions.
    "gan_compression": DistilledMethod(
        GAN_COMPRESSION,
        {
            "l1_weight": 10.0,
            "hint_weight": 1.0,
            "hint_depth": "trunk",
            "adversarial_weight": 1.0,
            "adversarial_from_step": 0.0,
        },
    ),
    # Ren et al. 2021, arXiv:2108.06908, sections 3.2 and 4.1: no discriminator for the student.
    "omgd": DistilledMethod(OMGD, _OMGD_LOSSES),
    "omgd_losses": DistilledMethod(None, _OMGD_LOSSES),
}
