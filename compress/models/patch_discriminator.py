"""CycleGAN's discriminator: a PatchGAN, each of whose outputs scores how real a patch of 70x70 pixels looks.

Source: Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004.
"""

from typing import Any

import keras
from keras import layers, ops

from compress.models import resnet_generator
from compress.models.resnet_generator import Normalization
from compress.models.spectral_conv import SpectralConv2D

_SLOPE = 0.2
_STRIDED_LAYERS = 3


def build_discriminator(
    *, filters: int = 64, normalization: Normalization = "instance", spectral: bool = False
) -> keras.Model:
    """Build an untrained discriminator.

    Args:
        filters: Channels after the first layer; doubled by each further one.
        normalization: The norm between the layers.
        spectral: Whether every kernel is divided by its largest singular value instead, which bounds the slope of the
            whole net, as a Wasserstein discriminator needs it. Source: Miyato et al. 2018, arXiv:1802.05957.

    Returns:
        A functional model `(batch, height, width, 3)` to `(batch, height / 8 - 2, width / 8 - 2, 1)`, one score per
        patch, unbounded; for images of at least 32 pixels a side.
    """
    image = keras.Input((None, None, 3), name="image")
    features = layers.LeakyReLU(_SLOPE)(_conv(image, filters, strides=2, spectral=spectral))
    for index in range(1, _STRIDED_LAYERS + 1):
        convolved = _conv(features, filters * 2**index, strides=2 if index < _STRIDED_LAYERS else 1, spectral=spectral)
        normal = convolved if spectral else resnet_generator.normalize(convolved, normalization)
        features = layers.LeakyReLU(_SLOPE)(normal)
    scores = layers.Activation("linear", name="scores", dtype="float32")(
        _conv(features, 1, strides=1, spectral=spectral)
    )
    return keras.Model(image, scores, name="discriminator")


def frozen_scores(discriminator: keras.Model, images: Any) -> Any:
    """Score images in training with the discriminator's weights as constants: gradients reach the images alone."""
    frozen = [ops.stop_gradient(variable.value) for variable in discriminator.trainable_variables]
    others = [variable.value for variable in discriminator.non_trainable_variables]
    scores, _ = discriminator.stateless_call(frozen, others, images, training=True)
    return scores


def with_features(discriminator: keras.Model) -> keras.Model:
    """Return a model of the same layers and weights whose outputs are each layer's activations, then the scores."""
    active = [layer.output for layer in discriminator.layers if isinstance(layer, layers.LeakyReLU)]
    return keras.Model(discriminator.inputs[0], [*active, *discriminator.outputs])


def _conv(features: Any, filters: int, *, strides: int, spectral: bool) -> Any:
    padded = layers.ZeroPadding2D(1)(features)
    if spectral:
        return SpectralConv2D(filters, 4, strides)(padded)
    return layers.Conv2D(filters, 4, strides=strides, kernel_initializer=resnet_generator.normal_initializer())(padded)
