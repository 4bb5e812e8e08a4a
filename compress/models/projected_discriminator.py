"""Discriminator of a pretrained network's features: a small head per scale behind a fixed random mixing of channels.

Source: Sauer, Chitta, Müller and Geiger 2021, Projected GANs Converge Faster, arXiv:2111.01007, without its mixing
across scales. The kernels are spectrally normalised as there.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from compress.models.spectral_conv import SpectralConv2D

_SLOPE = 0.2
# PyTorch's own start of a convolution: uniform, variance 1 / (3 * channels).
_MIXING = {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"}


def build_discriminator(widths: Sequence[int], *, filters: int = 64) -> keras.Model:
    """Build an untrained discriminator.

    Args:
        widths: Channels of the network's features at each scale.
        filters: Channels of the mixing and of every head.

    Returns:
        A functional model from a list of features, each `(batch, height, width, channels)`, to a list of scores, each
        `(batch, height / 2, width / 2, 1)`, unbounded; one for each scale.
    """
    features = [keras.Input((None, None, width), name=f"features_{scale}") for scale, width in enumerate(widths)]
    scores = [_head(_mixing(one, filters), filters, scale) for scale, one in enumerate(features)]
    return keras.Model(features, scores, name="discriminator")


def _mixing(features: Any, filters: int) -> Any:
    """Mix the channels at random and for good: it keeps a head from resting on the few channels that tell most."""
    initializer = keras.initializers.VarianceScaling(**_MIXING)
    return layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=initializer, trainable=False)(features)


def _head(features: Any, filters: int, scale: int) -> Any:
    for strides in (1, 2):
        padded = layers.ZeroPadding2D(1)(features)
        convolved = SpectralConv2D(filters, 3, strides)(padded)
        # TensorFlow's own leaky ReLU after a sum makes its graph optimiser complain of itself on stderr.
        features = ops.maximum(_SLOPE * convolved, convolved)
    scores = SpectralConv2D(1, 3, 1)(layers.ZeroPadding2D(1)(features))
    return layers.Activation("linear", name=f"scores_{scale}", dtype="float32")(scores)
