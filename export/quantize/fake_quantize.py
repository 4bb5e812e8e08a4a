"""int8's rounding inside a Keras model: forward as the file computes, backward as if nothing were rounded.

Weights are rounded to the scale of their output channel, tensors to the scale of their group, as
`export.graph.quantized` chooses them; biases are left alone, since an int32's rounding is finer than float32's own
sums. Everything rounds in float32, whatever the model's arithmetic.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
arXiv:1712.05877; the straight-through gradient of Bengio et al. 2013, arXiv:1308.3432.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from export.graph.operations import Convolution, DepthwiseConvolution, Graph, TransposedConvolution, Weighted
from export.graph.quantized import LEAST_WEIGHT_SCALE, NARROWEST_RANGE, Range, ScaleGroup, scale_groups

_MOMENTUM = 0.99
"""Momentum of the running extremes: about the last hundred batches count."""
_LAYER = "int8_of_"


class FakeQuantizers:
    """The layers that round each tensor of one model; make a new set for each model.

    Args:
        graph: The graph that the model is built from.
        ranges: Range of each tensor at the start.
        moving: Whether training moves the ranges along with what it sees.
        symmetric: Whether ranges that are not fixed are centred on zero.
    """

    def __init__(
        self, graph: Graph, ranges: Mapping[str, Range], *, moving: bool = True, symmetric: bool = False
    ) -> None:
        self._layers: dict[str, FakeQuantize] = {}
        for group in scale_groups(graph, symmetric=symmetric):
            shared = _SharedRange(group)
            for name in sorted(group.members):
                self._layers[name] = FakeQuantize(
                    name, shared, ranges[name] if name in group.sources else None, moving=moving
                )

    def apply(self, name: str, tensor: Any) -> Any:
        """Round a tensor of the model that is being built."""
        return self._layers[name](tensor)


def read_ranges(model: keras.Model) -> dict[str, Range]:
    """Return the range of every tensor that a model from `as_keras` rounds, shared ones alike."""
    quantizers = [layer for layer in model.layers if isinstance(layer, FakeQuantize)]
    return {layer.tensor: layer.range() for layer in quantizers}


def layer_name(tensor: str) -> str:
    """Return the name of the layer that rounds a tensor."""
    return _LAYER + tensor


class _SharedRange:
    """A range and the layers that know parts of it; no layer itself, so that none of them owns the others."""

    def __init__(self, group: ScaleGroup) -> None:
        self.group = group
        self.sources: list[FakeQuantize] = []


class FakeQuantize(layers.Layer):
    """A layer that rounds a tensor to 256 steps of its group's range, and in training moves that range along.

    Args:
        tensor: The tensor's name.
        shared: The range of its group.
        start: The range at the start; None for a tensor whose values are copied from another of the group.
        moving: Whether the range moves.
    """

    def __init__(self, tensor: str, shared: _SharedRange, start: Range | None, *, moving: bool) -> None:
        super().__init__(name=layer_name(tensor), dtype="float32")
        self.tensor = tensor
        self._shared, self._moving = shared, moving
        self.extremes: Any = None
        if start is not None:
            shared.sources.append(self)
            initial = keras.initializers.Constant([float(start[0]), float(start[1])])
            self.extremes = self.add_weight(
                name="extremes", shape=(2,), initializer=initial, trainable=False, autocast=False
            )

    def call(self, values: Any, training: bool | None = None) -> Any:
        if training and self._moving and self.extremes is not None:
            seen = ops.stop_gradient(ops.stack([ops.min(values), ops.max(values)]))
            self.extremes.assign(_MOMENTUM * self.extremes.value + (1 - _MOMENTUM) * seen)
        return _fake_quantize(values, *self._bounds())

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def range(self) -> Range:
        """Return the least and greatest value that its group can hold now."""
        low, high = (float(ops.convert_to_numpy(bound)) for bound in self._bounds())
        return low, high

    def _bounds(self) -> tuple[Any, Any]:
        group = self._shared.group
        if group.fixed is not None:
            return ops.convert_to_tensor(group.fixed[0], "float32"), ops.convert_to_tensor(group.fixed[1], "float32")
        known = ops.stack([source.extremes.value for source in self._shared.sources])
        low, high = ops.min(known[:, 0]), ops.max(known[:, 1])
        if group.useful is not None:
            low, high = ops.maximum(low, group.useful[0]), ops.minimum(high, group.useful[1])
        largest = ops.maximum(ops.abs(low), ops.abs(high))
        return (-largest, largest) if group.symmetric else (low, high)


def _fake_quantize(values: Any, low: Any, high: Any) -> Any:
    """Round as `TensorScale.fake_quantize`; outside of the range the gradient is zero."""
    least, greatest = ops.minimum(low, 0.0), ops.maximum(high, 0.0)
    scale = ops.maximum(greatest - least, NARROWEST_RANGE) / 255.0
    zero_point = ops.clip(ops.round(-128.0 - least / scale), -128.0, 127.0)
    integers = ops.clip(ops.round(values / scale) + zero_point, -128.0, 127.0)
    inside = ops.clip(values, (-128.0 - zero_point) * scale, (127.0 - zero_point) * scale)
    return inside + ops.stop_gradient((integers - zero_point) * scale - inside)


def _fake_quantize_kernel(kernel: Any, axes: tuple[int, ...]) -> Any:
    """Round a kernel per output channel to 255 symmetric steps; `axes` are all others."""
    wide = ops.cast(kernel, "float32")
    largest = ops.max(ops.abs(ops.stop_gradient(wide)), axis=axes, keepdims=True)
    scale = ops.maximum(largest / 127.0, LEAST_WEIGHT_SCALE)
    rounded = ops.clip(ops.round(wide / scale), -127.0, 127.0) * scale
    return ops.cast(wide + ops.stop_gradient(rounded - wide), kernel.dtype)


class _FakeQuantizedConv2D(layers.Conv2D):
    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return super().convolution_op(inputs, _fake_quantize_kernel(kernel, (0, 1, 2)))


class _FakeQuantizedDepthwiseConv2D(layers.DepthwiseConv2D):
    def call(self, inputs: Any) -> Any:
        kernel = _fake_quantize_kernel(self.kernel, (0, 1))
        return ops.depthwise_conv(inputs, kernel, self.strides, self.padding, None, self.dilation_rate) + self.bias


class _FakeQuantizedConv2DTranspose(layers.Conv2DTranspose):
    def call(self, inputs: Any) -> Any:
        kernel = _fake_quantize_kernel(self.kernel, (0, 1, 3))
        strides, dilation = list(self.strides), self.dilation_rate
        return ops.conv_transpose(inputs, kernel, strides, self.padding, None, None, dilation) + self.bias


LAYERS: Mapping[type[Weighted], type[layers.Layer]] = {
    Convolution: _FakeQuantizedConv2D,
    DepthwiseConvolution: _FakeQuantizedDepthwiseConv2D,
    TransposedConvolution: _FakeQuantizedConv2DTranspose,
}
"""Layer that rounds the weights of each kind of operation."""
