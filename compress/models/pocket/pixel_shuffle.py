"""Family `pixel_shuffle`: full convolutions at a quarter of the resolution, pixels shuffled out at the end.

Fewest operations but those of `space_to_depth`. Detail that a quarter of the resolution cannot carry travels over two
additive skips: features at half resolution, and the image itself beside the last shuffle.
"""

from typing import Any

from keras import layers

from compress.models.pocket.blocks import Blocks
from compress.models.pocket.config import PocketConfig


def build_body(image: Any, config: PocketConfig) -> Any:
    """Build the layers from the input image to the student's image before tanh."""
    blocks, half_width = Blocks(config), config.width // 2
    half = blocks.conv_norm_relu(image, half_width, 4, strides=2)
    features = blocks.conv_norm_relu(half, config.width, 4, strides=2)
    features = blocks.trunk(features, config.width, blocks.residual_block)
    features = layers.ReLU()(layers.Add()([blocks.upsample(features, half_width), half]))
    features = blocks.conv_norm_relu(features, half_width, 3)
    return blocks.shuffle_to_image(features, image)
