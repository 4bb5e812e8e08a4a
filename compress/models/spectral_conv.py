"""Convolution with a spectrally normalised kernel, of discriminators whose slope has to be bounded.

Source: Miyato et al. 2018, Spectral Normalization for GANs, arXiv:1802.05957.
"""

from typing import Any

from keras import layers, ops

from compress.models import resnet_generator


class SpectralConv2D(layers.Layer):
    """Convolution without padding whose kernel is divided by an estimate of its largest singular value.

    The estimate gets better by one power iteration at each call in training. Keras's own `SpectralNormalization`
    overwrites the kernel at each call instead: in mixed precision that rounds away what training adds to it, and
    PyTorch's gradients refuse it.

    Args:
        filters: Output channels.
        kernel_size: Side of the kernel.
        strides: Stride along both axes.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int) -> None:
        super().__init__()
        self._filters, self._kernel_size, self._strides = filters, kernel_size, strides

    def build(self, input_shape: Any) -> None:
        initializer = resnet_generator.normal_initializer()
        # Half precision would be too coarse for singular vectors.
        side = self._kernel_size
        self.kernel: Any = self.add_weight(
            name="kernel", shape=(side, side, input_shape[-1], self._filters), initializer=initializer, autocast=False
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
