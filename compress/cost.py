"""Cost of a generator: parameters and multiply-accumulates, per layer and in total.

1 MAC = 2 FLOPs. Convolutions alone are counted, without bias, as the papers of the field do; a transposed convolution
is counted at its output's resolution, as the published 56.8 GMACs of the CycleGAN generator at 256x256 are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from compress.artifact import Cost
from compress.image_size import resolve_size
from compress.images import Size

FLOAT_BYTES = 4

# What an int8 .tflite of `compress export` holds beside one byte a weight, bytes. The first three are fitted to 43
# students of all families, widths 16 to 64, 1 to 5 blocks, with and without context, either upsampler; within 0.8 % of
# each of them.
_INT8_FILE_BYTES = 1786
_INT8_OPERATION_BYTES = 40
_INT8_CONVOLUTION_BYTES = 413
_INT8_CHANNEL_BYTES = 12
"""Int32 bias of a channel, its scale and the kernel's."""
_INT8_ZERO_POINT_BYTES = 8
"""Zero points of one channel; layers with the same number of channels share them."""
_CONVOLUTIONS = frozenset({"Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"})
_FUSING = _CONVOLUTIONS | {"BatchNormalization", "Add", "Multiply"}
"""Layers into which a following ReLU is fused."""


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Cost of one layer."""

    name: str
    kind: str
    """Class name of the layer."""
    output_shape: tuple[int, int, int]
    """Height, width, channels."""
    params: int
    macs: int
    kernel_weights: int = 0
    """Weights of the layer's convolution kernels; in int8 each is a byte."""


def measure_cost(model: keras.Model, *, image_size_px: Size | None = None) -> Cost:
    """Measure a whole generator.

    Args:
        model: Takes one image and returns one.
        image_size_px: Image size at which MACs are counted; the model's own when None.

    Returns:
        `macs` is None where neither the model nor the caller fixes a size; `size_bytes` is that of float32 weights.

    Raises:
        UsageError: If the model takes another size.
    """
    params = sum(math.prod(variable.shape) for variable in model.weights)
    free = None in model.input_shape[1:3] and image_size_px is None
    macs = None if free else sum(row.macs for row in layer_costs(model, image_size_px=image_size_px))
    return Cost(params=params, macs=macs, size_bytes=FLOAT_BYTES * params)


def layer_costs(model: keras.Model, *, image_size_px: Size | None = None) -> list[LayerCost]:
    """Measure every layer, in the order of the model.

    Raises:
        UsageError: If the model takes another size, or any size and none is given.
    """
    height, width = resolve_size("the model", model.input_shape[1:3], image_size_px)
    rows: list[LayerCost] = []
    _walk(model, keras.KerasTensor((1, height, width, 3)), rows)
    return rows


def predict_int8_bytes(rows: Sequence[LayerCost]) -> int:
    """Predict the size of the int8 .tflite that `compress export` writes with `--io-type float`.

    Args:
        rows: From `layer_costs`: a student's layers in order.

    Returns:
        Bytes; a student's within 2 %. Too few for a generator with InstanceNorm, which an export takes apart.
    """
    convolutions = [row for row in rows if row.kind in _CONVOLUTIONS]
    channels = [row.output_shape[2] for row in convolutions]
    return (
        _INT8_FILE_BYTES
        + _INT8_CONVOLUTION_BYTES * len(convolutions)
        + _INT8_OPERATION_BYTES * _other_operations(rows)
        + _INT8_CHANNEL_BYTES * sum(channels)
        + _INT8_ZERO_POINT_BYTES * sum(set(channels))
        + sum(row.kernel_weights for row in convolutions)
    )


def _other_operations(rows: Sequence[LayerCost]) -> int:
    """Count the layers that stay an operation: BatchNormalization and most ReLU are folded into others."""
    gone = _CONVOLUTIONS | {"InputLayer", "BatchNormalization"}
    before = ["", *(row.kind for row in rows)]
    fused = [row.kind == "ReLU" and kind in _FUSING for row, kind in zip(rows, before, strict=False)]
    return sum(row.kind not in gone and not vanished for row, vanished in zip(rows, fused, strict=True))


def _walk(model: Any, inputs: Any, rows: list[LayerCost]) -> Any:
    """Run shapes through a model as Keras does for `compute_output_spec`, and record every layer."""
    functional = model._functional if isinstance(model, keras.Sequential) else model
    return functional._run_through_graph(inputs, operation_fn=lambda operation: _recorder(operation, rows))


def _recorder(operation: Any, rows: list[LayerCost]) -> Callable[..., Any]:
    def record(*arguments: Any, **options: Any) -> Any:
        if isinstance(operation, keras.Model):
            return _walk(operation, arguments[0], rows)
        output = operation.compute_output_spec(*arguments, **options)
        rows.append(_row(operation, _shape_of(arguments[0]), tuple(output.shape[1:])))
        return output

    return record


def _shape_of(argument: Any) -> Sequence[int]:
    first = argument[0] if isinstance(argument, list | tuple) else argument
    return tuple(first.shape[1:])


def _row(layer: Any, input_shape: Sequence[int], output_shape: tuple[int, ...]) -> LayerCost:
    weights = getattr(layer, "weights", [])
    return LayerCost(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=(output_shape[0], output_shape[1], output_shape[2]),
        params=sum(math.prod(variable.shape) for variable in weights),
        macs=_macs(layer, input_shape, output_shape),
        kernel_weights=_kernel_weights(layer),
    )


def _macs(layer: Any, input_shape: Sequence[int], output_shape: Sequence[int]) -> int:
    height, width = output_shape[:2]
    if isinstance(layer, keras.layers.Conv2DTranspose):
        # Input times stride: a valid one also writes a border that generators crop away.
        height, width = (side * stride for side, stride in zip(input_shape, layer.strides, strict=False))
    return height * width * _kernel_weights(layer)


def _kernel_weights(layer: Any) -> int:
    if isinstance(layer, keras.layers.SeparableConv2D):
        kernels = [layer.depthwise_kernel, layer.pointwise_kernel]
    elif isinstance(layer, keras.layers.Conv2D | keras.layers.Conv2DTranspose | keras.layers.DepthwiseConv2D):
        kernels = [layer.kernel]
    else:
        return 0
    return sum(math.prod(kernel.shape) for kernel in kernels)
