"""Cost of a Keras generator, as `compress.cost` counts it: parameters and multiply-accumulates of every layer."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from compress.artifact import Cost
from compress.cost import FLOAT_BYTES, LayerCost
from compress.image_size import resolve_size
from compress.images import Size


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
