"""Family `space_to_depth`: the image folded into channels, one resolution throughout, then unfolded; the fastest.

No layer but the two shuffles ever sees another resolution, so detail has to travel through the trunk's channels.
"""

from typing import Any

from compress.models.layers import DepthToSpace, SpaceToDepth
from compress.models.pocket.blocks import Blocks
from compress.models.pocket.config import PocketConfig

_BLOCK_SIZE = 4


def build_body(image: Any, config: PocketConfig) -> Any:
    """Build the layers from the input image to the student's image before tanh."""
    blocks = Blocks(config)
    features = blocks.conv_norm_relu(SpaceToDepth(_BLOCK_SIZE)(image), config.width, 3)
    features = blocks.trunk(features, config.width, blocks.residual_block)
    shuffled = blocks.last_conv(features, 3 * _BLOCK_SIZE**2, 3)
    return blocks.add_image(DepthToSpace(_BLOCK_SIZE)(shuffled), image)
