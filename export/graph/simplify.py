"""Passes that every target shares: gains folded into convolutions, activations and padding fused, identities split off.

Two operations are merged only where nothing else reads the tensor between them.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from export.graph.operations import (
    OUTPUT,
    Activate,
    Add,
    Convolution,
    DepthwiseConvolution,
    Graph,
    Multiply,
    Operation,
    Pad,
    Shape,
    TransposedConvolution,
    Weighted,
    margins_of,
)

_Merge = Callable[[Operation, Operation, Shape], Operation | None]
"""Turns a producer, its only reader and the shape of the producer's input into one operation, or None to keep both."""
_MOST_LEFT = 0.5
"""A kernel is nearly the identity if at most this share of its largest weights is left without the identity."""


def fold_gains(graph: Graph) -> Graph:
    """Fold a gain and offset per channel into the convolution before it, so that BatchNormalization costs nothing.

    `gain * (conv(x) + bias) + offset` is a convolution with other weights.
    """
    return _merge_pairs(graph, _fold_gain)


def fuse_activations(graph: Graph) -> Graph:
    """Fuse ReLU and ReLU6 into the operation before, which then writes one tensor instead of two."""
    return _merge_pairs(graph, _fuse_activation)


def fuse_padding(graph: Graph) -> Graph:
    """Fuse zeros into the convolution behind them where they are what `same` would put there: one operation less."""
    return _merge_pairs(graph, _fuse_padding)


def split_identities(graph: Graph) -> Graph:
    """Split a kernel that is nearly the identity into an Add of its input and a convolution with what is left.

    In int8 the weight of one would set the step for all others of its channel, which are mostly smaller than half of
    such a step: of a student's convolution of its own input next to nothing but the identity would be left.
    """
    operations: list[Operation] = []
    for operation in graph.operations:
        rest = f"{operation.output}_rest"
        while rest in graph.shapes:
            rest += "_"
        operations += _split_identity(operation, graph.shapes[operation.inputs[0]], rest)
    return replace(graph, operations=tuple(operations))


def rename_output(graph: Graph) -> Graph:
    """Name the graph's result `OUTPUT`, as every file names it, whatever the model's last layer is called."""
    operations = [_rename(operation, graph.output, OUTPUT) for operation in graph.operations]
    return replace(graph, output=OUTPUT, operations=tuple(operations))


def cast_to_float32(graph: Graph) -> Graph:
    """Cast weights to float32: folding works in double precision, files hold single."""
    return replace(graph, operations=tuple(_in_single_precision(operation) for operation in graph.operations))


def _merge_pairs(graph: Graph, merge: _Merge) -> Graph:
    merged: dict[str, Operation] = {}
    for operation in graph.operations:
        producer = merged.get(operation.inputs[0])
        if producer is not None and len(graph.consumers[producer.output]) == 1 and producer.output != graph.output:
            both = merge(producer, operation, graph.shapes[producer.inputs[0]])
            if both is not None:
                del merged[producer.output]
                operation = both
        merged[operation.output] = operation
    return replace(graph, operations=tuple(merged.values()))


def _fold_gain(producer: Operation, reader: Operation, _: Shape) -> Operation | None:
    if not isinstance(producer, Weighted) or producer.activation != "none":
        return None
    if not isinstance(reader, DepthwiseConvolution) or reader.strides != (1, 1):
        return None
    if reader.kernel.shape != (1, 1, producer.bias.size, 1):
        return None
    gain = reader.kernel.reshape(-1)
    kernel = producer.kernel * _along_output_channels(gain, producer)
    return replace(
        producer,
        kernel=kernel,
        bias=producer.bias * gain + reader.bias,
        output=reader.output,
        activation=reader.activation,
    )


def _along_output_channels(gain: np.ndarray, operation: Weighted) -> np.ndarray:
    if isinstance(operation, DepthwiseConvolution):
        return gain.reshape(operation.kernel.shape[2:])
    return gain[:, np.newaxis] if isinstance(operation, TransposedConvolution) else gain


def _fuse_activation(producer: Operation, reader: Operation, _: Shape) -> Operation | None:
    if not isinstance(producer, Weighted | Add | Multiply) or producer.activation != "none":
        return None
    if not isinstance(reader, Activate) or reader.function not in ("relu", "relu6"):
        return None
    return replace(producer, output=reader.output, activation=reader.function)


def _fuse_padding(producer: Operation, reader: Operation, unpadded: Shape) -> Operation | None:
    if not isinstance(producer, Pad) or producer.mode != "zero":
        return None
    if not isinstance(reader, Weighted) or isinstance(reader, TransposedConvolution) or reader.padding != "valid":
        return None
    padded = replace(reader, inputs=producer.inputs, padding="same")
    height, width = reader.kernel.shape[:2]
    return padded if margins_of(padded, unpadded[:2], (height, width)) == producer.margins else None


def _split_identity(operation: Operation, before: Shape, name: str) -> list[Operation]:
    """Split an operation that reads a tensor of shape `before`; the convolution that is left writes `name`."""
    if not isinstance(operation, Convolution) or operation.shape != before or operation.strides != (1, 1):
        return [operation]
    height, width, taken, _ = operation.kernel.shape
    if any(low != high for low, high in margins_of(operation, before[:2], (height, width))):
        return [operation]
    identity = np.zeros_like(operation.kernel)
    identity[height // 2, width // 2] = np.eye(taken)
    rest = operation.kernel - identity
    largest, left = (np.abs(kernel).max(axis=(0, 1, 2)).sum() for kernel in (operation.kernel, rest))
    if left > _MOST_LEFT * largest:
        return [operation]
    added = replace(operation, kernel=rest, output=name, activation="none")
    inputs, activation = (*operation.inputs, added.output), operation.activation
    return [added, Add(inputs=inputs, output=operation.output, shape=operation.shape, activation=activation)]


def _rename(operation: Operation, old: str, new: str) -> Operation:
    inputs = tuple(new if name == old else name for name in operation.inputs)
    return replace(operation, inputs=inputs, output=new if operation.output == old else operation.output)


def _in_single_precision(operation: Operation) -> Operation:
    arrays = {item.name: getattr(operation, item.name) for item in fields(operation)}
    return replace(
        operation,
        **{n: value.astype(np.float32, copy=False) for n, value in arrays.items() if isinstance(value, np.ndarray)},
    )
