"""The students: small generators whose every operation an int8 delegate runs on a phone.

Two families, both BatchNorm (it folds away) and zero padding (reflection is not delegated), one fixed input size:

`pixel_shuffle`: works at a quarter of the resolution with full 3x3 convolutions and shuffles the pixels out at the end.
    Fewest operations, so fastest. Detail that a quarter of the resolution cannot carry travels over two additive skips:
    features at half resolution, and the image itself beside the last shuffle.
`separable`: the teacher's shape made small: 5x5 ends at full resolution, separable residual blocks, bilinear
    up-sampling. Slower, since most of its time goes to the full-resolution ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from compress.models.layers import DepthToSpace, SpaceToDepth

Family = Literal["pixel_shuffle", "separable"]

BATCH_NORM_MOMENTUM = 0.95
"""Short memory: after averaged weights are put in, a hundred batches refresh the statistics."""
_CONTEXT_REDUCTION = 4


@dataclass(frozen=True, kw_only=True)
class PocketConfig:
    """The shape of a student."""

    family: Family = "pixel_shuffle"
    image_size_px: int = 256
    width: int = 48
    """Channels of the trunk, at a quarter of the resolution."""
    blocks: int = 4
    """Residual blocks of the trunk."""
    context: bool = True
    """Whether every second block sees the whole image (a pooled gain and offset per channel), as InstanceNorm does."""


def build(config: PocketConfig) -> keras.Model:
    """Build an untrained student.

    Returns:
        A functional model `(batch, image_size_px, image_size_px, 3)` in [-1, 1] to the same, named `student`.

    Raises:
        ValueError: If `image_size_px` is no multiple of 4.
    """
    if config.image_size_px % 4:
        raise ValueError(f"image_size_px = {config.image_size_px}, expected a multiple of 4.")
    image = keras.Input((config.image_size_px, config.image_size_px, 3), name="image")
    families: dict[Family, Callable[[Any, PocketConfig], Any]] = {
        "pixel_shuffle": _pixel_shuffle,
        "separable": _separable,
    }
    features = families[config.family](image, config)
    return keras.Model(image, layers.Activation("tanh", name="generated")(features), name="student")


def _pixel_shuffle(image: Any, config: PocketConfig) -> Any:
    half_width = config.width // 2
    half = _conv_norm_relu(image, half_width, 4, strides=2)
    features = _conv_norm_relu(half, config.width, 4, strides=2)
    for index in range(config.blocks):
        features = _residual_block(features, config.width)
        if config.context and index % 2:
            features = _global_context(features, config.width)
    features = DepthToSpace(2)(_conv_norm(features, 4 * half_width, 1))
    features = layers.ReLU()(layers.Add()([features, half]))
    features = _conv_norm_relu(features, half_width, 3)
    shuffled = layers.Conv2D(12, 3, padding="same", kernel_initializer="zeros")(features)
    # Near-identity start: at first the student returns tanh(image), and only has to learn the difference.
    identity: Any = _identity_kernel
    through = layers.Conv2D(12, 3, padding="same", use_bias=False, kernel_initializer=identity)
    return DepthToSpace(2)(layers.Add()([shuffled, through(SpaceToDepth(2)(image))]))


def _separable(image: Any, config: PocketConfig) -> Any:
    quarter_width = max(8, config.width // 5 // 8 * 8)
    features = _conv_norm_relu(image, quarter_width, 5)
    features = _conv_norm_relu(features, 2 * quarter_width, 3, strides=2)
    features = _conv_norm_relu(features, config.width, 3, strides=2)
    for index in range(config.blocks):
        features = _separable_block(features, config.width)
        if config.context and index % 2:
            features = _global_context(features, config.width)
    for filters in (2 * quarter_width, quarter_width):
        # Narrow first, enlarge after: the convolution then runs on a quarter of the pixels.
        features = _conv_norm(features, filters, 3)
        features = layers.ReLU()(layers.UpSampling2D(2, interpolation="bilinear")(features))
    return layers.Conv2D(3, 5, padding="same")(features)


def _conv_norm(features: Any, filters: int, kernel_size: int, *, strides: int = 1, gamma: str = "ones") -> Any:
    convolved = layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(features)
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, gamma_initializer=gamma)(convolved)


def _conv_norm_relu(features: Any, filters: int, kernel_size: int, *, strides: int = 1) -> Any:
    return layers.ReLU()(_conv_norm(features, filters, kernel_size, strides=strides))


def _residual_block(features: Any, width: int) -> Any:
    """Two 3x3 convolutions beside a skip; starts as the identity, since the last gain starts at zero."""
    branch = _conv_norm_relu(features, width, 3)
    return layers.Add()([features, _conv_norm(branch, width, 3, gamma="zeros")])


def _separable_block(features: Any, width: int) -> Any:
    branch = features
    for last in (False, True):
        branch = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(branch)
        branch = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(branch)
        branch = _conv_norm(branch, width, 1, gamma="zeros") if last else _conv_norm_relu(branch, width, 1)
    return layers.Add()([features, branch])


def _global_context(features: Any, width: int) -> Any:
    """A gain and an offset per channel from the mean of the whole image; starts as the identity.

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
    """A convolution kernel that returns its input: 1 at the centre of each channel's own map."""
    height, width, _, _ = shape
    kernel = np.zeros(shape, dtype=np.float32)
    kernel[height // 2, width // 2] = np.eye(shape[2], shape[3])
    return keras.ops.convert_to_tensor(kernel, dtype=dtype)
