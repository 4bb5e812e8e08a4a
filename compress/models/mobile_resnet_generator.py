"""Published students: CycleGAN's ResNet generator with separable residual blocks and any list of channels.

GAN Compression's search picks the channels, OMGD takes the same net narrow; as published both have InstanceNorm without
gain and offset and mirror the border. With BatchNorm and zero padding the same shape runs in int8 kernels. Where a
stride of 2 meets a border, PyTorch pads the first row and TensorFlow the last: a published net's kernels, mirrored,
make of a mirrored photo the mirrored picture.

Source: Li et al. 2020, GAN Compression: Efficient Architectures for Interactive Conditional GANs, arXiv:2003.08936,
section 3.3; separable convolutions of Howard et al. 2017, MobileNets, arXiv:1704.04861.
"""

from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from compress.models.layers import BATCH_NORM_MOMENTUM, InstanceNormalization, ReflectionPadding2D
from compress.models.resnet_generator import NORM_EPSILON, normal_initializer


@dataclass(frozen=True, kw_only=True)
class MobileResnetConfig:
    """Architecture of a generator. It is fully convolutional: one set of weights serves every image size."""

    down: tuple[int, int, int]
    """Channels at the whole, a half and a quarter of the resolution, on the way down."""
    inner: tuple[int, ...]
    """Channels between the two separable convolutions of each residual block."""
    up: tuple[int, int]
    """Channels at a half and at the whole of the resolution, on the way up."""
    normalization: Literal["instance", "batch"] = "instance"
    """InstanceNorm without gain and offset as published, or BatchNorm, which folds away."""
    padding: Literal["reflect", "zero"] = "reflect"
    """Padding of every convolution that keeps the size: mirrored border or zeros."""


def build_mobile_resnet(
    config: MobileResnetConfig, image_size: tuple[int | None, int | None] = (None, None)
) -> keras.Model:
    """Build an untrained generator.

    Args:
        config: Its architecture.
        image_size: Height and width in pixels, multiples of 4; None leaves a side open.

    Returns:
        A functional model `(batch, height, width, 3)` in [-1, 1] to the same.
    """
    image = keras.Input((*image_size, 3), name="image")
    whole, *smaller = config.down
    features = layers.ReLU()(_normalize(_conv(image, whole, 7, config), config))
    for filters in smaller:
        halved = layers.Conv2D(filters, 3, strides=2, padding="same", **_conv_options(config))(features)
        features = layers.ReLU()(_normalize(halved, config))
    for inner in config.inner:
        features = _residual_block(features, inner, config)
    for filters in config.up:
        doubled = layers.Conv2DTranspose(filters, 3, strides=2, padding="same", **_conv_options(config))(features)
        features = layers.ReLU()(_normalize(doubled, config))
    # No norm follows the last convolution, so it has a bias of its own whatever the others have.
    last = layers.Conv2D(3, 7, padding=_padding_mode(config), kernel_initializer=normal_initializer())
    drawn = last(_reflect_pad(features, 3, config))
    return keras.Model(image, layers.Activation("tanh", name="generated", dtype="float32")(drawn), name="generator")


def _residual_block(features: Any, inner: int, config: MobileResnetConfig) -> Any:
    branch = layers.ReLU()(_normalize(_separable(features, inner, config), config))
    branch = _normalize(_separable(branch, features.shape[-1], config), config)
    return layers.Add()([features, branch])


def _separable(features: Any, filters: int, config: MobileResnetConfig) -> Any:
    """Apply a depthwise and a 1x1 convolution with a norm, and no ReLU, between them."""
    depthwise = layers.DepthwiseConv2D(
        3,
        padding=_padding_mode(config),
        depthwise_initializer=normal_initializer(),
        use_bias=config.normalization == "instance",
    )(_reflect_pad(features, 1, config))
    return _conv(_normalize(depthwise, config), filters, 1, config)


def _conv(features: Any, filters: int, kernel_size: int, config: MobileResnetConfig) -> Any:
    padded = _reflect_pad(features, kernel_size // 2, config)
    return layers.Conv2D(filters, kernel_size, padding=_padding_mode(config), **_conv_options(config))(padded)


def _reflect_pad(features: Any, width: int, config: MobileResnetConfig) -> Any:
    if config.padding == "zero" or width == 0:
        return features
    return ReflectionPadding2D(((width, width), (width, width)))(features)


def _padding_mode(config: MobileResnetConfig) -> str:
    return "same" if config.padding == "zero" else "valid"


def _conv_options(config: MobileResnetConfig) -> dict[str, Any]:
    # The published nets keep the biases that an InstanceNorm takes away again; a BatchNorm has an offset of its own.
    return {"kernel_initializer": normal_initializer(), "use_bias": config.normalization == "instance"}


def _normalize(features: Any, config: MobileResnetConfig) -> Any:
    if config.normalization == "batch":
        return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, epsilon=NORM_EPSILON)(features)
    return InstanceNormalization(epsilon=NORM_EPSILON, center=False, scale=False)(features)
