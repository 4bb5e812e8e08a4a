"""Layers that compute what Keras's do, with the same weights, in less time in TensorFlow on CPUs.

Only the copy that is trained, or that translates, holds them. A student is built, saved and exported with Keras's own
layers, which is what other backends and GPUs train, too.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from compress.models.layers import ReflectionPadding2D

_ONEDNN_CHANNELS = 16
"""Number whose multiples oneDNN computes quickly: it normalises others in bfloat16 in ten times as long, and convolves
with that many filters at once however few there are."""
_BLOCK_PX = 2
"""Side of the squares that `FastConv2D` computes at once."""


class FastDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """A depthwise convolution whose gradients are depthwise convolutions, too.

    oneDNN computes the gradient of a depthwise kernel as that of a grouped one, each group padded to 16 x 16 channels.
    """

    def call(self, inputs: Any) -> Any:
        if not self._is_plain():
            return super().call(inputs)
        convolved = _depthwise(inputs, _read(self.kernel))
        if self.use_bias:
            convolved = ops.add(convolved, self.bias)
        return convolved if self.activation is None else self.activation(convolved)

    def _is_plain(self) -> bool:
        """True if an odd kernel moves pixel by pixel over a padded image."""
        steps = (*self.strides, *self.dilation_rate, self.depth_multiplier)
        odd = all(side % 2 for side in self.kernel_size)
        return odd and set(steps) == {1} and self.padding == "same" and self.data_format == "channels_last"


class FastBatchNormalization(keras.layers.BatchNormalization):
    """BatchNorm whose training step is TensorFlow's one operation; Keras's takes ten passes over the features."""

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        plain = self.center and self.scale and not self.renorm and not self.synchronized
        if not (
            training and self.trainable and plain and mask is None and len(inputs.shape) == 4 and self.axis in (-1, 3)
        ):
            return super().call(inputs, training=training, mask=mask)
        normalised, mean, variance = _batch_norm(inputs, self.gamma, self.beta, self.epsilon)
        for moving, seen in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + seen * (1.0 - self.momentum))
        return ops.cast(normalised, self.compute_dtype)


class FastConv2D(keras.layers.Conv2D):
    """A convolution with few filters, such as a generator's last, that computes squares of 2 x 2 pixels as one.

    Its kernel lies four times, moved by a pixel, in one of stride 2 with four times the filters. Without gradients of
    its own: for translating.
    """

    def call(self, inputs: Any) -> Any:
        if not self._has_few_filters(inputs.shape):
            return super().call(inputs)
        if self.padding == "same":
            margins = [((side - 1) // 2, side // 2) for side in self.kernel_size]
            inputs = ops.pad(inputs, ((0, 0), *margins, (0, 0)))
        kernel, steps = _read(self.kernel), [(0, _BLOCK_PX - 1), (1, _BLOCK_PX - 2)]
        moved = [ops.pad(kernel, (down, right, (0, 0), (0, 0))) for down in steps for right in steps]
        convolved = _spread(ops.conv(inputs, ops.concatenate(moved, axis=-1), strides=_BLOCK_PX, padding="valid"))
        if self.use_bias:
            convolved = ops.add(convolved, self.bias)
        return convolved if self.activation is None else self.activation(convolved)

    def _has_few_filters(self, shape: Any) -> bool:
        """True if the squares fit the output, and oneDNN would compute more filters than there are."""
        made = self.compute_output_shape(shape)[1:3]
        steps = (*self.strides, *self.dilation_rate, self.groups)
        plain = set(steps) == {1} and self.data_format == "channels_last" and min(self.kernel_size) > 1
        fits = self.filters * _BLOCK_PX**2 <= _ONEDNN_CHANNELS and not any(
            side is None or side % _BLOCK_PX for side in made
        )
        return plain and fits


class FastReflectionPadding2D(ReflectionPadding2D):
    """A mirrored border that is gathered pixel by pixel, in a third of the time. For translating: it trains slowly."""

    def call(self, images: Any) -> Any:
        _, *sides, channels = images.shape
        if None in (*sides, channels):
            return super().call(images)
        rows, columns = (
            np.pad(np.arange(side), margins, mode="reflect") for side, margins in zip(sides, self.padding, strict=True)
        )
        pixels = (rows[:, None] * sides[1] + columns).ravel()
        gathered = ops.take(ops.reshape(images, (-1, sides[0] * sides[1], channels)), pixels, axis=1)
        return ops.reshape(gathered, (-1, len(rows), len(columns), channels))


_Faster = dict[type[keras.layers.Layer], type[keras.layers.Layer]]
_FAST: _Faster = {
    keras.layers.DepthwiseConv2D: FastDepthwiseConv2D,
    keras.layers.BatchNormalization: FastBatchNormalization,
}
_FAST_TO_TRANSLATE: _Faster = {
    keras.layers.Conv2D: FastConv2D,
    ReflectionPadding2D: FastReflectionPadding2D,
}


def with_fast_layers(model: keras.Model) -> keras.Model:
    """Return a copy of a functional model to train: the same layers' names, weights in the same order, and results.

    On GPUs, on other backends than TensorFlow, and where no layer has a faster one, it returns the model itself.
    """
    if not _is_on_cpus() or not any(type(one) in _FAST for one in model.layers):
        return model
    return _copy(model, _FAST)


def copy_to_translate(model: keras.Model, policy: str) -> keras.Model:
    """Return a copy of a functional model that makes the same images, in a dtype policy, and is not trained.

    In `float32` they are the same but for the order in which a convolution adds up.
    """
    return _copy(model, _FAST_TO_TRANSLATE if _is_on_cpus() else {}, dtype=policy)


def _copy(model: keras.Model, faster: _Faster, **settings: Any) -> keras.Model:
    """Copy a model, with faster layers in place of Keras's and settings in place of their own."""

    def rebuild(layer: Any) -> Any:
        return faster.get(type(layer), type(layer)).from_config({**layer.get_config(), **settings})

    copy = keras.models.clone_model(model, clone_function=rebuild)
    copy.set_weights(model.get_weights())
    return copy


def _is_on_cpus() -> bool:
    """True where TensorFlow computes, on CPUs alone."""
    return keras.backend.backend() == "tensorflow" and not _has_gpu()


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _read(variable: Any) -> Any:
    """Return a variable's value, as wide as the layer that is called computes, where Keras may return a reference."""
    import tensorflow as tf

    return tf.convert_to_tensor(variable)


def _spread(blocks: Any) -> Any:
    """Lay the channels of each pixel out as a square of pixels."""
    import tensorflow as tf

    return tf.nn.depth_to_space(blocks, _BLOCK_PX)


@ops.custom_gradient
def _depthwise(features: Any, kernel: Any) -> Any:
    """Convolve each channel with its own kernel `(height, width, channels, 1)`, padding `same`."""

    def gradients(*received: Any, upstream: Any = None) -> tuple[Any, Any]:
        slope = received[0] if upstream is None else upstream
        towards_features = ops.depthwise_conv(slope, ops.flip(kernel, (0, 1)), padding="same")
        return towards_features, _kernel_gradient(features, slope, kernel)

    return ops.depthwise_conv(features, kernel, padding="same"), gradients


def _kernel_gradient(features: Any, slope: Any, kernel: Any) -> Any:
    """Return the gradient of a depthwise kernel: the features convolved with a kernel as large as they are, the slope.

    A channel of an image is a channel of its own in that convolution, whose results are then added up over the images.
    """
    height, width, channels = kernel.shape[:3]
    side = ops.shape(features)
    folded = [ops.reshape(ops.transpose(one, (1, 2, 0, 3)), (side[1], side[2], -1, 1)) for one in (features, slope)]
    padded = ops.pad(folded[0][None, ..., 0], ((0, 0), *(((n // 2,) * 2) for n in (height, width)), (0, 0)))
    by_image = ops.reshape(ops.depthwise_conv(padded, folded[1], padding="valid"), (height, width, -1, channels))
    return ops.cast(ops.sum(ops.cast(by_image, "float32"), axis=2)[..., None], kernel.dtype)


def _batch_norm(features: Any, gamma: Any, beta: Any, epsilon: float) -> tuple[Any, Any, Any]:
    """Return features normalised by their own statistics, and those: mean and biased variance of each channel."""
    import tensorflow as tf

    if features.shape[-1] % _ONEDNN_CHANNELS:
        features = ops.cast(features, "float32")
    normalised, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        features, _read(gamma), _read(beta), epsilon=epsilon, is_training=True
    )
    count = ops.cast(ops.size(features) // features.shape[-1], "float32")
    return normalised, mean, variance * (count - 1.0) / count
