"""What rounding moves on average, taken back: the bias of each operation makes up for it.

Rounded weights times activations that are hardly ever negative are off by about the same at every pixel, and an error
that is the same everywhere is what eyes and Inception-like features see first.

Source: Nagel et al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, arXiv:1906.04721,
section 4.2 and appendix D: from photos, one operation after the other, so that each makes up for all before it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compress.images import to_float
from export.graph import Operation, Weighted
from export.quantization import QuantizedGraph, dequantized_kernel, with_scales
from export.reference import activate, compute

PHOTOS = 8
"""At most as many are watched, all at once: means over their pixels hardly move with more."""


def with_corrected_biases(quantized: QuantizedGraph, photos: Sequence[np.ndarray]) -> QuantizedGraph:
    """Move the biases of a quantised graph so that each operation's mean over photos is that of the float graph.

    Args:
        quantized: A graph and the scale of each tensor, nothing of it kept in float.
        photos: `(height, width, 3)` uint8, at least one; the first `PHOTOS` are watched.

    Returns:
        The same scales over a graph with other biases. In float it is no longer the net that was given.
    """
    graph = quantized.graph
    pictures = np.stack([to_float(photo) for photo in photos[:PHOTOS]])
    exact, rounded = {graph.input: pictures}, {graph.input: _rounded(quantized, graph.input, pictures)}
    last_reader = {name: operation for operation in graph.operations for name in operation.inputs}
    corrected: list[Operation] = []
    for operation in graph.operations:
        wanted, made = ([tensors[name] for name in operation.inputs] for tensors in (exact, rounded))
        if isinstance(operation, Weighted):
            sums, sums_made = _linear(operation, *wanted), _linear(_as_rounded(operation, quantized), *made)
            shift = (sums - sums_made).mean(axis=(0, 1, 2))
            corrected.append(replace(operation, bias=operation.bias + shift))
            result, result_made = (activate(each, operation.activation) for each in (sums, sums_made + shift))
        else:
            corrected.append(operation)
            result, result_made = compute(operation, *wanted), compute(operation, *made)
        exact[operation.output] = result
        rounded[operation.output] = _rounded(quantized, operation.output, result_made)
        for name in {name for name in operation.inputs if last_reader[name] is operation}:
            del exact[name], rounded[name]
    return with_scales(replace(graph, operations=tuple(corrected)), quantized.tensors)


def _linear(operation: Weighted, features: np.ndarray) -> np.ndarray:
    """The sums that an activation follows."""
    return compute(replace(operation, activation="none"), features)


def _as_rounded(operation: Weighted, quantized: QuantizedGraph) -> Weighted:
    return replace(operation, kernel=dequantized_kernel(operation, quantized.weights[operation.output]))


def _rounded(quantized: QuantizedGraph, name: str, values: np.ndarray) -> np.ndarray:
    scale = quantized.tensors[name]
    return scale.dequantize(scale.quantize(values))
