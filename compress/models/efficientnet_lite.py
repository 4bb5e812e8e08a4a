"""EfficientNet-Lite up to stride 16: a frozen ImageNet network whose features images are compared in.

BatchNorm is folded into kernels and biases when it is built. Lite means: ReLU6 instead of swish, no
squeeze-and-excitation, stem never scaled.

Source: Tan and Le 2019, EfficientNet, arXiv:1905.11946; github.com/tensorflow/tpu, models/official/efficientnet/lite.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers

from compress.errors import UnusableModel


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Coefficients that a network's channels and repeats are multiplied by."""

    width: float
    depth: float


LITE0 = Scaling(width=1.0, depth=1.0)
LITE2 = Scaling(width=1.1, depth=1.2)

STRIDES = (2, 4, 8, 16, 16)
"""Pixels of the image to one of each feature."""


class _Stage(NamedTuple):
    repeats: int
    kernel_size: int
    stride: int
    expansion: int
    filters: int


_STEM_FILTERS = 32
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
)
"""The stages of Lite0 that are built; two more, at stride 32, follow in the classifier."""
# TensorFlow's epsilon, with which the weights were trained; PyTorch's own default is 1e-5.
_NORM_EPSILON = 1e-3
# Training saw (pixel - 127) / 128 of pixels 0..255, and pixel = 127.5 * (image + 1).
_INPUT_SCALE, _INPUT_OFFSET = 127.5 / 128, 0.5 / 128


def build(weights: Mapping[str, np.ndarray], scaling: Scaling = LITE2) -> keras.Model:
    """Build the network as far as its last feature, in the precision of `keras.config.dtype_policy`.

    Args:
        weights: Arrays of a state dict with the names and layouts of PyTorch; those of layers behind the last feature
            are not used.
        scaling: Coefficients of the network that the weights are of.

    Returns:
        A frozen functional model `(batch, height, width, 3)` in [-1, 1], of any height and width, to the outputs of
        five stages, `(batch, height / stride, width / stride, channels)` for each of `STRIDES`, rounded up.

    Raises:
        UnusableModel: If an array is missing or of another shape.
    """
    image = keras.Input((None, None, 3), name="image")
    # In float32: half precision would round the image a second time.
    scaled = layers.Rescaling(_INPUT_SCALE, _INPUT_OFFSET, dtype="float32", name="scaled")(image)
    assembly = _Assembly(weights)
    activations = assembly.convolve(scaled, "_conv_stem", "_bn0", filters=_STEM_FILTERS, kernel_size=3, strides=2)
    features, block = [], 0
    for index, stage in enumerate(_STAGES):
        filters = _scaled_filters(stage.filters, scaling.width)
        # The first stage is never repeated more often.
        repeats = stage.repeats if index == 0 else math.ceil(stage.repeats * scaling.depth)
        for repeat in range(repeats):
            strides = stage.stride if repeat == 0 else 1
            activations = assembly.block(activations, f"_blocks.{block}.", stage, filters=filters, strides=strides)
            block += 1
        features.append(activations)
    model = keras.Model(image, features, name="efficientnet_lite")
    for name, values in assembly.values.items():
        model.get_layer(name).set_weights(values)
    model.trainable = False
    return model


class _Assembly:
    """Appends layers, and keeps the folded weights that they get when all are there.

    Args:
        weights: Arrays by their names in PyTorch.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]) -> None:
        self._weights = weights
        self.values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        """Kernel and bias of each layer."""

    def block(self, inputs: Any, place: str, stage: _Stage, *, filters: int, strides: int) -> Any:
        """Append an inverted residual: widen with 1x1, filter each channel, narrow with 1x1."""
        wide = inputs
        if stage.expansion > 1:
            expanded = inputs.shape[-1] * stage.expansion
            wide = self.convolve(inputs, f"{place}_expand_conv", f"{place}_bn0", filters=expanded)
        filtered = self._filter_channels(wide, place, kernel_size=stage.kernel_size, strides=strides)
        narrow = self.convolve(filtered, f"{place}_project_conv", f"{place}_bn2", filters=filters, active=False)
        is_residual = strides == 1 and inputs.shape[-1] == filters
        return layers.Add()([narrow, inputs]) if is_residual else narrow

    def convolve(
        self,
        inputs: Any,
        name: str,
        norm: str,
        *,
        filters: int,
        kernel_size: int = 1,
        strides: int = 1,
        active: bool = True,
    ) -> Any:
        """Append a convolution with its BatchNorm, and ReLU6 where it is `active`."""
        shape = (filters, inputs.shape[-1], kernel_size, kernel_size)
        kernel, bias = self._fold(f"{name}.weight", norm, shape)
        layer = layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            activation="relu6" if active else None,
            kernel_initializer="zeros",
            name=_layer_name(name),
        )
        self.values[layer.name] = kernel.transpose(2, 3, 1, 0), bias
        return layer(inputs)

    def _filter_channels(self, inputs: Any, place: str, *, kernel_size: int, strides: int) -> Any:
        name = f"{place}_depthwise_conv"
        kernel, bias = self._fold(f"{name}.weight", f"{place}_bn1", (inputs.shape[-1], 1, kernel_size, kernel_size))
        layer = layers.DepthwiseConv2D(
            kernel_size,
            strides=strides,
            padding="same",
            activation="relu6",
            depthwise_initializer="zeros",
            name=_layer_name(name),
        )
        self.values[layer.name] = kernel.transpose(2, 3, 0, 1), bias
        return layer(inputs)

    def _fold(self, name: str, norm: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return a kernel, in PyTorch's layout, and the bias that do what it and the BatchNorm behind it do."""
        kernel = self._array(name, shape)
        gamma, beta, mean, variance = (
            self._array(f"{norm}.{role}", shape[:1]) for role in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gamma / np.sqrt(variance + _NORM_EPSILON)
        return kernel * gain[:, None, None, None], beta - mean * gain

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        array = self._weights.get(name)
        if array is None or array.shape != shape:
            came = "no array" if array is None else f"an array of shape {array.shape}"
            raise UnusableModel(f"the weights of EfficientNet-Lite hold {came} named {name!r}; expected {shape}.")
        return array.astype(np.float64)


def _layer_name(name: str) -> str:
    return name.strip("_").replace("._", "_").replace(".", "_")


def _scaled_filters(filters: int, width: float) -> int:
    """Return channels scaled and rounded to a multiple of 8, by at most a tenth downwards."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
