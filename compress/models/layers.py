"""Layers that generators need and Keras 3 lacks, in `keras.ops` only: they run on every backend."""

from typing import Any

import keras
from keras import ops

Margins = tuple[tuple[int, int], tuple[int, int]]

BATCH_NORM_MOMENTUM = 0.95
"""Momentum of BatchNorm's statistics, low enough for a hundred batches to refresh them after weights are averaged."""
_PACKAGE = "pocketgan"


class _BorderPadding2D(keras.layers.Layer):
    """Base class of layers that put pixels of the image's own around it."""

    def __init__(self, padding: Margins, **options: Any) -> None:
        super().__init__(**options)
        (top, bottom), (left, right) = padding
        self.padding: Margins = ((int(top), int(bottom)), (int(left), int(right)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        (top, bottom), (left, right) = self.padding
        return (
            batch,
            None if height is None else height + top + bottom,
            None if width is None else width + left + right,
            channels,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ReflectionPadding2D(_BorderPadding2D):
    """Mirror the image at its borders without repeating the border itself.

    Args:
        padding: `((top, bottom), (left, right))`, pixels; each less than the image's height or width.

    Shapes: `(batch, height, width, channels)` to `(batch, height + top + bottom, width + left + right, channels)`.
    """

    def call(self, images: Any) -> Any:
        return ops.pad(images, ((0, 0), *self.padding, (0, 0)), mode="reflect")


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ReplicationPadding2D(_BorderPadding2D):
    """Repeat the image's border pixels around it, as PyTorch's layer of that name.

    Args:
        padding: `((top, bottom), (left, right))`, pixels.

    Shapes: `(batch, height, width, channels)` to `(batch, height + top + bottom, width + left + right, channels)`.
    """

    def call(self, images: Any) -> Any:
        for axis, (before, after) in enumerate(self.padding, start=1):
            # Keras has no such mode of padding: each line outside is the nearest one inside.
            side: Any = ops.shape(images)[axis]
            lines = ops.clip(ops.arange(-before, side + after), 0, side - 1)
            images = ops.take(images, lines, axis=axis)
        return images


@keras.saving.register_keras_serializable(package=_PACKAGE)
class InstanceNormalization(keras.layers.Layer):
    """Normalise each channel of each image by its own mean and variance over height and width.

    Args:
        epsilon: Added to the variance.
        center: Whether a trained offset `beta` is added.
        scale: Whether a trained gain `gamma` is multiplied.

    Source: Ulyanov et al. 2016, Instance Normalization, arXiv:1607.08022.
    """

    def __init__(self, epsilon: float = 1e-5, center: bool = True, scale: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.epsilon, self.center, self.scale = float(epsilon), bool(center), bool(scale)
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        channels = (input_shape[-1],)
        if self.scale:
            self.gamma = self.add_weight(name="gamma", shape=channels, initializer="ones")
        if self.center:
            self.beta = self.add_weight(name="beta", shape=channels, initializer="zeros")
        self.built = True

    def call(self, features: Any) -> Any:
        # Half precision overflows in the sum of squares of a whole image, so statistics are taken in float32.
        wide = ops.cast(features, "float32")
        mean, variance = ops.moments(wide, axes=(1, 2), keepdims=True)
        return self._apply_affine((wide - mean) * ops.rsqrt(variance + self.epsilon))

    def _apply_affine(self, normalised: Any) -> Any:
        if self.gamma is not None:
            normalised = normalised * ops.cast(self.gamma, "float32")
        if self.beta is not None:
            normalised = normalised + ops.cast(self.beta, "float32")
        return ops.cast(normalised, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class SpaceToDepth(keras.layers.Layer):
    """Move each block of pixels into channels, in TFLite's order: row within the block, column, channel.

    Args:
        block_size: Side of the block, pixels; divides height and width.

    Shapes: `(batch, height, width, channels)` to `(batch, height / b, width / b, b * b * channels)`.
    """

    def __init__(self, block_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.block_size = int(block_size)

    def call(self, images: Any) -> Any:
        block = self.block_size
        shape: Any = ops.shape(images)
        _, height, width, channels = shape
        split = ops.reshape(images, (-1, height // block, block, width // block, block, channels))
        moved = ops.transpose(split, (0, 1, 3, 2, 4, 5))
        return ops.reshape(moved, (-1, height // block, width // block, block * block * channels))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        block = self.block_size
        return (
            batch,
            None if height is None else height // block,
            None if width is None else width // block,
            block * block * channels,
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class DepthToSpace(keras.layers.Layer):
    """Move channels into blocks of pixels, the inverse of `SpaceToDepth`, in TFLite's order (not PyTorch's).

    Args:
        block_size: Side of the block, pixels; its square divides the channels.

    Shapes: `(batch, height, width, b * b * channels)` to `(batch, height * b, width * b, channels)`.

    Source: Shi et al. 2016, Real-Time Single Image Super-Resolution, arXiv:1609.05158.
    """

    def __init__(self, block_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.block_size = int(block_size)

    def call(self, features: Any) -> Any:
        block = self.block_size
        shape: Any = ops.shape(features)
        _, height, width, channels = shape
        depth = channels // (block * block)
        split = ops.reshape(features, (-1, height, width, block, block, depth))
        moved = ops.transpose(split, (0, 1, 3, 2, 4, 5))
        return ops.reshape(moved, (-1, height * block, width * block, depth))

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, channels = input_shape
        block = self.block_size
        return (
            batch,
            None if height is None else height * block,
            None if width is None else width * block,
            channels // (block * block),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "block_size": self.block_size}


@keras.saving.register_keras_serializable(package=_PACKAGE)
class ContribInstanceNormalization(InstanceNormalization):
    """Instance normalisation as keras_contrib and its many copies compute it; many old teachers are trained with it.

    Two things differ from `InstanceNormalization`: epsilon is added to the standard deviation instead of the variance,
    and all channels can share one mean, deviation, gain and offset.

    Args:
        epsilon: Added to the standard deviation.
        per_channel: Whether each channel has its own statistics; keras_contrib's default is False (`axis=None`).
        center: Whether a trained offset `beta` is added.
        scale: Whether a trained gain `gamma` is multiplied.

    Source: keras_contrib.layers.InstanceNormalization.
    """

    def __init__(
        self,
        epsilon: float = 1e-3,
        per_channel: bool = True,
        center: bool = True,
        scale: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(epsilon, center, scale, **options)
        self.per_channel = bool(per_channel)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape if self.per_channel else (1,))

    def call(self, features: Any) -> Any:
        wide = ops.cast(features, "float32")
        mean, variance = ops.moments(wide, axes=(1, 2) if self.per_channel else (1, 2, 3), keepdims=True)
        return self._apply_affine((wide - mean) / (ops.sqrt(variance) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per_channel": self.per_channel}
