"""CycleGAN's discriminator: a PatchGAN, each of whose outputs scores how real a patch of 70x70 pixels looks.

Source: Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004.
"""

from typing import Any

import keras
from keras import layers, ops

from compress.models import resnet_generator
from compress.models.resnet_generator import Normalization

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


class SpectralConv2D(layers.Layer):
    """4x4 convolution with its kernel divided by an estimate of the kernel's largest singular value.

    The estimate gets better by one power iteration at each call in training. Keras's own `SpectralNormalization`
    overwrites the kernel at each call instead: in mixed precision that rounds away what training adds to it, and
    PyTorch's gradients refuse it.

    Args:
        filters: Output channels.
        strides: Stride along both axes.
    """

    def __init__(self, filters: int, strides: int) -> None:
        super().__init__()
        self._filters, self._strides = filters, strides

    def build(self, input_shape: Any) -> None:
        initializer = resnet_generator.normal_initializer()
        # Half precision would be too coarse for singular vectors.
        self.kernel: Any = self.add_weight(
            name="kernel", shape=(4, 4, input_shape[-1], self._filters), initializer=initializer, autocast=False
        )
        self.bias: Any = self.add_weight(name="bias", shape=(self._filters,), initializer="zeros")
        self.right: Any = self.add_weight(
            name="right", shape=(self._filters, 1), initializer=initializer, trainable=False, autocast=False
        )
        self.built = True

    def call(self, features: Any, training: bool | None = None) -> Any:
        matrix = ops.reshape(self.kernel, (-1, self._filters))
        frozen = ops.stop_gradient(matrix)
        left = ops.normalize(frozen @ self.right, axis=0)
        right = ops.normalize(ops.transpose(frozen) @ left, axis=0)
        if training:
            self.right.assign(right)
        kernel = self.kernel / ops.sum(left * (matrix @ right))
        return ops.conv(features, ops.cast(kernel, self.compute_dtype), self._strides) + self.bias


def _conv(features: Any, filters: int, *, strides: int, spectral: bool) -> Any:
    padded = layers.ZeroPadding2D(1)(features)
    if spectral:
        return SpectralConv2D(filters, strides)(padded)
    return layers.Conv2D(filters, 4, strides=strides, kernel_initializer=resnet_generator.normal_initializer())(padded)
