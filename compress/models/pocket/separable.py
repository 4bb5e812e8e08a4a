"""Family `separable`: the teacher's shape made small, with separable residual blocks at a quarter of the resolution.

Slowest, since most of its time goes to the 5x5 convolutions at full resolution.
"""

from typing import Any

from keras import layers

from compress.models.pocket.blocks import Blocks
from compress.models.pocket.config import PocketConfig


def build_body(image: Any, config: PocketConfig) -> Any:
    """Build the layers from the input image to the student's image before tanh."""
    blocks, quarter_width = Blocks(config), max(8, config.width // 5 // 8 * 8)
    features = blocks.conv_norm_relu(image, quarter_width, 5)
    features = blocks.conv_norm_relu(features, 2 * quarter_width, 3, strides=2)
    features = blocks.conv_norm_relu(features, config.width, 3, strides=2)
    features = blocks.trunk(features, config.width, blocks.separable_block)
    for filters in (2 * quarter_width, quarter_width):
        features = layers.ReLU()(blocks.upsample(features, filters))
    return blocks.add_image(blocks.last_conv(features, 3, 5), image)
