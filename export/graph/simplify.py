"""Rewrites of a graph that leave its output as it is: gains folded into convolutions, activations and padding fused,
identities taken out of kernels.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from export.graph.operations import (
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

Rewrite = Callable[[Operation, Operation, Shape], Operation | None]
"""A producer, its only reader, and the shape of the producer's input: what replaces both, or None."""
_IDENTITY_SHARE = 0.5
"""Of a kernel's largest weights: without its identity, a kernel that is nearly one has at most so much left of them."""


def simplify(graph: Graph, *, output: str) -> Graph:
    """Fold, fuse, take identities out, and name the graph's result `output`.

    Two operations are merged only where nothing else reads the tensor between them.
    """
    for rewrite in (_fold_gain, _fuse_activation, _fuse_padding):
        graph = _merge_pairs(graph, rewrite)
    graph = _take_identities_out(graph)
    operations = [_in_single_precision(_rename(operation, graph.output, output)) for operation in graph.operations]
    return replace(graph, output=output, operations=tuple(operations))


def _merge_pairs(graph: Graph, rewrite: Rewrite) -> Graph:
    kept: dict[str, Operation] = {}
    for operation in graph.operations:
        producer = kept.get(operation.inputs[0])
        if producer is not None and len(graph.consumers[producer.output]) == 1 and producer.output != graph.output:
            both = rewrite(producer, operation, graph.shapes[producer.inputs[0]])
            if both is not None:
                del kept[producer.output]
                operation = both
        kept[operation.output] = operation
    return replace(graph, operations=tuple(kept.values()))


def _fold_gain(producer: Operation, reader: Operation, _: Shape) -> Operation | None:
    """`gain * (conv(x) + bias) + offset` is a convolution with other weights: BatchNormalization vanishes."""
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
    """Zeros in front of a valid convolution are its own padding where they are what `same` would put there."""
    if not isinstance(producer, Pad) or producer.mode != "zero":
        return None
    if not isinstance(reader, Weighted) or isinstance(reader, TransposedConvolution) or reader.padding != "valid":
        return None
    padded = replace(reader, inputs=producer.inputs, padding="same")
    height, width = reader.kernel.shape[:2]
    return padded if margins_of(padded, unpadded[:2], (height, width)) == producer.margins else None


def _take_identities_out(graph: Graph) -> Graph:
    """A kernel that is nearly the identity becomes what it adds to its input.

    In int8 the weight of one would set the step for all others of its channel, which are mostly smaller than half of
    such a step: of a student's convolution of its own input next to nothing but the identity would be left.
    """
    operations: list[Operation] = []
    for operation in graph.operations:
        rest = f"{operation.output}_rest"
        while rest in graph.shapes:
            rest += "_"
        operations += _identity_taken_out(operation, graph.shapes[operation.inputs[0]], rest)
    return replace(graph, operations=tuple(operations))


def _identity_taken_out(operation: Operation, before: Shape, name: str) -> list[Operation]:
    """What does the same as an operation that reads a tensor of shape `before`; `name` is free for what is added."""
    if not isinstance(operation, Convolution) or operation.shape != before or operation.strides != (1, 1):
        return [operation]
    height, width, taken, _ = operation.kernel.shape
    if any(low != high for low, high in margins_of(operation, before[:2], (height, width))):
        return [operation]
    identity = np.zeros_like(operation.kernel)
    identity[height // 2, width // 2] = np.eye(taken)
    rest = operation.kernel - identity
    largest, left = (np.abs(kernel).max(axis=(0, 1, 2)).sum() for kernel in (operation.kernel, rest))
    if left > _IDENTITY_SHARE * largest:
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
        **{name: value.astype(np.float32) for name, value in arrays.items() if isinstance(value, np.ndarray)},
    )
