"""Rewrites of a quantised graph for runtimes that lack an operator, with the integers as they were.

A rewrite of the float graph would come before the ranges are chosen, and move them; here every tensor keeps its scale,
so the file computes the same integers.
"""

from dataclasses import replace

import numpy as np

from compress.errors import UnsupportedLayer
from export.graph.operations import Operation, TransposedConvolution, Weighted
from export.graph.quantized import QuantizedGraph, QuantizedWeights
from export.graph.shuffles import shuffles_as_convolutions

_LEAST_INTEGER, _GREATEST_INTEGER, _RELU6_TOP = -128, 127, 6.0


def int8_shuffles_as_convolutions(quantized: QuantizedGraph) -> QuantizedGraph:
    """Write every pixel shuffle that computes in int8 as a convolution with a weight of 1, whose scale is 1."""
    rewritten = shuffles_as_convolutions(quantized.graph)
    pairs = zip(quantized.graph.operations, rewritten.operations, strict=True)
    added = {new.output: _ones(new) for old, new in pairs if isinstance(new, Weighted) and new is not old}
    weights = {**quantized.weights, **{name: one for name, one in added.items() if name in quantized.tensors}}
    return replace(quantized, graph=rewritten, weights=weights)


def _ones(operation: Weighted) -> QuantizedWeights:
    channels = operation.bias.size
    return QuantizedWeights(
        kernel=operation.kernel.astype(np.int8),
        bias=np.zeros(channels, np.int32),
        scales=np.ones(channels, np.float32),
    )


def drop_saturating_activations(quantized: QuantizedGraph) -> QuantizedGraph:
    """Take the fused ReLU off transposed convolutions in int8: their range ends where it would cut.

    Raises:
        UnsupportedLayer: If a range goes on below zero, or beyond 6 of a ReLU6.
    """
    operations = tuple(_without_activation(operation, quantized) for operation in quantized.graph.operations)
    return replace(quantized, graph=replace(quantized.graph, operations=operations))


def _without_activation(operation: Operation, quantized: QuantizedGraph) -> Operation:
    if not isinstance(operation, TransposedConvolution) or operation.activation == "none":
        return operation
    if operation.output not in quantized.tensors:
        raise UnsupportedLayer(
            f"layer {operation.output} is a transposed convolution with a fused {operation.activation} that computes "
            "in float inside an int8 file; choose other float_ops, or --target cpu."
        )
    scale = quantized.tensors[operation.output]
    top = np.rint(np.float32(_RELU6_TOP) / np.float32(scale.scale)) + scale.zero_point
    if scale.zero_point != _LEAST_INTEGER or (operation.activation == "relu6" and top < _GREATEST_INTEGER):
        raise UnsupportedLayer(
            f"layer {operation.output} fuses {operation.activation} into a transposed convolution whose int8 range is "
            "shared with other values; upsample by a pixel shuffle, or use --target cpu."
        )
    return replace(operation, activation="none")
