"""Shapes of the published students that ours are compared with, as published and made deployable.

- OMGD: Ren et al. 2021, Online Multi-Granularity Distillation for GAN Compression, arXiv:2108.06908: a narrow MobileNet
  generator, 0.137 M parameters and 1.41 GMACs at 256x256. DCD and CRD train the same net.
- GAN Compression: Li et al. 2020, arXiv:2003.08936: what its search found for horse to zebra, 0.342 M parameters and
  2.67 GMACs, among which the norms are counted, one for each value. (The authors' repository calls it `legacy`; the
  file that it offers now has 0.357 M parameters.)

As published they have InstanceNorm and mirror the border; their authors never show the effect of that in int8. Shapes
alone: no published code and no published weights are here.
"""

from collections.abc import Mapping
from dataclasses import replace

from compress.models.mobile_resnet_generator import MobileResnetConfig

OMGD = MobileResnetConfig(down=(16, 32, 64), inner=(64,) * 9, up=(32, 16))
GAN_COMPRESSION = MobileResnetConfig(down=(24, 48, 96), inner=(128,) * 9, up=(40, 16))
PEERS: Mapping[str, MobileResnetConfig] = {"OMGD": OMGD, "GAN Compression": GAN_COMPRESSION}
"""Shapes as published, by name; `compress.models.mobile_resnet_generator.build_mobile_resnet` builds them."""


def make_deployable(peer: MobileResnetConfig) -> MobileResnetConfig:
    """Return the shape with BatchNorm, which folds away, and zero padding, which a phone's int8 kernels run whole."""
    return replace(peer, normalization="batch", padding="zero")
