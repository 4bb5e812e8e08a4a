"""Branches that help a convolution to learn and fold into it when it has: training costs more, the student nothing.

Source: Ding et al. 2021, RepVGG: Making VGG-style ConvNets Great Again, arXiv:2101.03697, section 3.3.
"""

from typing import Any

import keras
import numpy as np
from keras import layers

BATCH_NORM_MOMENTUM = 0.95
"""Short memory: after averaged weights are put in, a hundred batches refresh the statistics."""


@keras.saving.register_keras_serializable(package="pocketgan")
class BranchedConv2D(layers.Layer):
    """The sum of a convolution, a 1x1 convolution and, where shapes allow, the input, each with a BatchNorm of its own.

    Args:
        filters: Output channels; None is a depthwise convolution.
        kernel_size: Side of the large kernel; odd where `strides` is 1.
        strides: Both ways; divides the input's height and width.
        gamma: What the gains of all BatchNorms start from.

    Shapes: as a convolution with padding `same`.
    """

    def __init__(
        self, filters: int | None, kernel_size: int, strides: int = 1, gamma: str = "ones", **options: Any
    ) -> None:
        super().__init__(**options)
        self.filters, self.kernel_size, self.strides, self.gamma = filters, int(kernel_size), int(strides), gamma
        self.convolutions = [_convolution(filters, side, strides, self.dtype_policy) for side in (self.kernel_size, 1)]
        self.norms: list[Any] = [self._norm() for _ in self.convolutions]
        self.identity_norm: Any = None

    def build(self, input_shape: Any) -> None:
        output_shape = self.compute_output_shape(input_shape)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolution.build(input_shape)
            norm.build(output_shape)
        if output_shape[-1] == input_shape[-1] and self.strides == 1:
            self.identity_norm = self._norm()
            self.identity_norm.build(input_shape)
        self.built = True

    def call(self, features: Any, training: bool | None = None) -> Any:
        branches = [
            norm(convolution(features), training=training)
            for convolution, norm in zip(self.convolutions, self.norms, strict=True)
        ]
        if self.identity_norm is not None:
            branches.append(self.identity_norm(features, training=training))
        return sum(branches[1:], branches[0])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.convolutions[0].compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("filters", "kernel_size", "strides", "gamma")}
        return {**super().get_config(), **own}

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """The kernel, `(kernel_size, kernel_size, in_channels, filters)`, and the bias of the one convolution that
        does, with the moving statistics, what all branches do together.
        """
        large, small = (_value(convolution.kernel) for convolution in self.convolutions)
        kernels = [(large, self.norms[0]), (self._embedded(small), self.norms[1])]
        if self.identity_norm is not None:
            through = np.ones_like(small) if self.filters is None else np.eye(small.shape[2])[np.newaxis, np.newaxis]
            kernels.append((self._embedded(through), self.identity_norm))
        scaled, biases = zip(*(self._normalised(kernel, norm) for kernel, norm in kernels), strict=True)
        return np.sum(scaled, axis=0), np.sum(biases, axis=0)

    def _norm(self) -> Any:
        return layers.BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM, gamma_initializer=self.gamma, dtype=self.dtype_policy
        )

    def _embedded(self, small: np.ndarray) -> np.ndarray:
        """A 1x1 kernel within a large one, where the large one has the pixel that the small one sees."""
        kernel = np.zeros((self.kernel_size, self.kernel_size, *small.shape[2:]))
        # As many pixels as `same` pads in front: a side of a multiple of the strides lacks kernel_size - strides.
        place = (self.kernel_size - self.strides) // 2
        kernel[place, place] = small[0, 0]
        return kernel

    def _normalised(self, kernel: np.ndarray, norm: Any) -> tuple[np.ndarray, np.ndarray]:
        """Kernel and bias of a convolution with a BatchNorm behind it."""
        gain = _value(norm.gamma) / np.sqrt(_value(norm.moving_variance) + norm.epsilon)
        scaled = kernel * (gain[:, np.newaxis] if self.filters is None else gain)
        return scaled, _value(norm.beta) - _value(norm.moving_mean) * gain


def folded(model: keras.Model) -> keras.Model:
    """A student without the branches of its training: the same function, fewer and plainer layers.

    Args:
        model: Functional; it is left as it is, and returned itself where it has no branches.

    Returns:
        A model with a `Conv2D` or `DepthwiseConv2D` with bias of the same name for each `BranchedConv2D`.
    """
    if not any(isinstance(layer, BranchedConv2D) for layer in model.layers):
        return model
    plain = keras.models.clone_model(model, clone_function=_plain)
    for layer in (layer for layer in model.layers if layer.weights):
        weights = layer.folded() if isinstance(layer, BranchedConv2D) else layer.get_weights()
        plain.get_layer(layer.name).set_weights(list(weights))
    return plain


def _plain(layer: Any) -> Any:
    if isinstance(layer, BranchedConv2D):
        policy = layer.dtype_policy
        return _convolution(layer.filters, layer.kernel_size, layer.strides, policy, use_bias=True, name=layer.name)
    return type(layer).from_config(layer.get_config())


def _convolution(filters: int | None, kernel_size: int, strides: int, dtype: Any, **options: Any) -> Any:
    options = {"strides": strides, "padding": "same", "use_bias": False, "dtype": dtype} | options
    if filters is None:
        return layers.DepthwiseConv2D(kernel_size, **options)
    return layers.Conv2D(filters, kernel_size, **options)


def _value(variable: Any) -> np.ndarray:
    # In double precision: what is added up here is rounded once, when it becomes a weight.
    return np.asarray(keras.ops.convert_to_numpy(variable.value), dtype=np.float64)
