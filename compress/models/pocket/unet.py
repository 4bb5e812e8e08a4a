"""Family `unet`: a U-Net whose trunk of separable blocks lies at an eighth of the resolution, where large kernels are
cheap.

Its eight depthwise 5x5 kernels of default size see some 290 pixels wide, its global context the whole image. Detail
comes back over additive skips at a quarter and at half of the resolution, and over the image itself, gated, beside the
last shuffle.

Source: the shape of Ronneberger et al. 2015, U-Net, arXiv:1505.04597, with sums for skips as Chaurasia and Culurciello
2017, LinkNet, arXiv:1707.03718: they need no convolution over twice the channels.
"""

from typing import Any

from keras import layers

from compress.models.pocket.blocks import Blocks
from compress.models.pocket.config import PocketConfig


def build_body(image: Any, config: PocketConfig) -> Any:
    """Build the layers from the input image to the student's image before tanh."""
    blocks, width, half_width = Blocks(config), config.width, config.width // 2
    # Twice the width, as is usual, would not leave room for four blocks in 250 kB.
    trunk_width = width + half_width
    half = blocks.conv_norm_relu(image, half_width, 4, strides=2)
    quarter = blocks.conv_norm_relu(half, width, 4, strides=2)
    features = blocks.conv_norm_relu(quarter, trunk_width, 3, strides=2)
    features = blocks.trunk(features, trunk_width, blocks.separable_block)
    for filters, skip in ((width, quarter), (half_width, half)):
        features = layers.ReLU()(layers.Add()([blocks.upsample(features, filters), skip]))
        features = blocks.conv_norm_relu(features, filters, 3)
    return blocks.shuffle_over_gated_image(features, image)
