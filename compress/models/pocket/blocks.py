"""Building blocks of the students' families."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from compress.models.layers import BATCH_NORM_MOMENTUM, DepthToSpace, SpaceToDepth
from compress.models.pocket.config import PocketConfig

_CONTEXT_REDUCTION = 4
_CHANNELS = 12
"""RGB of the four pixels that lie in one place of half of the resolution."""


class Blocks:
    """Building blocks of a student, drawn from its configuration.

    All methods take and return features `(batch, height, width, channels)`; padding is `same`.
    """

    def __init__(self, config: PocketConfig) -> None:
        self._config = config

    def conv_norm(self, features: Any, filters: int, kernel_size: int, *, strides: int = 1, gamma: str = "ones") -> Any:
        """Apply a convolution and BatchNorm, whose gain starts from `gamma`."""
        convolved = layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(features)
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, gamma_initializer=gamma)(convolved)

    def conv_norm_relu(self, features: Any, filters: int, kernel_size: int, *, strides: int = 1) -> Any:
        return layers.ReLU()(self.conv_norm(features, filters, kernel_size, strides=strides))

    def residual_block(self, features: Any, width: int) -> Any:
        """Apply two convolutions beside a skip; starts as the identity, since the last gain starts at zero."""
        side = self._config.trunk_kernel_size
        branch = self.conv_norm_relu(features, width, side)
        return layers.Add()([features, self.conv_norm(branch, width, side, gamma="zeros")])

    def separable_block(self, features: Any, width: int) -> Any:
        """Apply a depthwise and a 1x1 convolution, twice, beside a skip; starts as the identity, too."""
        branch = self.conv_norm_relu(self._depthwise_norm(features), width, 1)
        return layers.Add()([features, self.conv_norm(self._depthwise_norm(branch), width, 1, gamma="zeros")])

    def trunk(self, features: Any, width: int, block: Callable[[Any, int], Any]) -> Any:
        """Apply as many blocks as configured, every second one followed by a global context."""
        for index in range(self._config.blocks):
            features = block(features, width)
            if self._config.context and index % 2:
                features = global_context(features, width)
        return features

    def upsample(self, features: Any, filters: int) -> Any:
        """Double height and width: first convolve to fewer channels, then enlarge, which costs a quarter."""
        if self._config.chosen_upsampler == "bilinear":
            return layers.UpSampling2D(2, interpolation="bilinear")(self.conv_norm(features, filters, 3))
        return DepthToSpace(2)(self.conv_norm(features, 4 * filters, 1))

    def shuffle_to_image(self, features: Any, image: Any) -> Any:
        """Turn features at half of the resolution into the image before tanh.

        With `image_skip` a convolution of the image itself, at first the identity, is added before the last shuffle.
        """
        shuffled = self.last_conv(features, _CHANNELS, 3)
        if self._config.image_skip:
            identity: Any = _identity_kernel
            through = layers.Conv2D(_CHANNELS, 3, padding="same", use_bias=False, kernel_initializer=identity)
            shuffled = layers.Add()([shuffled, through(SpaceToDepth(2)(image))])
        return DepthToSpace(2)(shuffled)

    def shuffle_over_gated_image(self, features: Any, image: Any) -> Any:
        """Turn features at half of the resolution into the image before tanh, over an image that they can take away.

        With `image_skip` the image, x = relu(x) - relu(-x), is at first added as it is. What a 1x1 convolution of the
        features adds before the two ReLUs closes both, wherever something has to go, such as a beard. That is a gate
        without a product, which int8 would have to round to steps of the product's own range. The two signs are split
        and joined by kernels that are not trained, since ones and zeros are all that int8 does not round.
        """
        shuffled = self.last_conv(features, _CHANNELS, 3)
        if self._config.image_skip:
            signs = self._fixed_identity(SpaceToDepth(2)(image), 2 * _CHANNELS)
            gate = layers.Conv2D(2 * _CHANNELS, 1, use_bias=False, kernel_initializer="zeros")(features)
            joined = self._fixed_identity(layers.ReLU()(layers.Add()([signs, gate])), _CHANNELS)
            shuffled = layers.Add()([shuffled, joined])
        return DepthToSpace(2)(shuffled)

    def _fixed_identity(self, features: Any, filters: int) -> Any:
        identity: Any = _identity_kernel
        return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=identity, trainable=False)(features)

    def last_conv(self, features: Any, filters: int, kernel_size: int) -> Any:
        """Apply the convolution that draws the image; it starts at zero where `add_image` adds the photo to it."""
        initializer = "zeros" if self._config.image_skip else "glorot_uniform"
        return layers.Conv2D(filters, kernel_size, padding="same", kernel_initializer=initializer)(features)

    def add_image(self, generated: Any, image: Any) -> Any:
        """Add the image to the generated one, where the configuration has `image_skip`."""
        return layers.Add()([generated, image]) if self._config.image_skip else generated

    def _depthwise_norm(self, features: Any) -> Any:
        side = self._config.trunk_kernel_size
        convolved = layers.DepthwiseConv2D(side, padding="same", use_bias=False)(features)
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(convolved)


def global_context(features: Any, width: int) -> Any:
    """Apply a gain and an offset per channel, computed from the mean of the whole image; starts as the identity.

    Source: Cao et al. 2019, GCNet, arXiv:1904.11492, with the gain of Hu et al. 2018, SENet, arXiv:1709.01507, linear
    here because a sigmoid is one more operation that a delegate can refuse.
    """
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(features)
    squeezed = layers.Conv2D(max(8, width // _CONTEXT_REDUCTION), 1, activation="relu")(pooled)
    gain = layers.Conv2D(width, 1, kernel_initializer="zeros", bias_initializer="ones")(squeezed)
    offset = layers.Conv2D(width, 1, kernel_initializer="zeros")(squeezed)
    return layers.Add()([layers.Multiply()([features, gain]), offset])


@keras.saving.register_keras_serializable(package="pocketgan", name="identity_kernel")
def _identity_kernel(shape: Any, dtype: Any = None) -> Any:
    """Initialise a kernel to return its input: 1 at the centre of each channel's own map.

    With twice as many outputs as inputs it returns the input and its negative, with half as many their difference.
    """
    height, width, inputs, outputs = shape
    kernel = np.zeros(shape, dtype=np.float32)
    centre = kernel[height // 2, width // 2]
    centre += np.eye(inputs, outputs)
    if outputs == 2 * inputs:
        centre -= np.eye(inputs, outputs, k=inputs)
    elif inputs == 2 * outputs:
        centre -= np.eye(inputs, outputs, k=-outputs)
    return keras.ops.convert_to_tensor(kernel, dtype=dtype)
