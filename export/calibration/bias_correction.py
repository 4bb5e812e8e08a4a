"""Bias correction: the bias of each operation makes up for what rounding moves on average.

Rounded weights times activations that are hardly ever negative are off by about the same at every pixel, and an error
that is the same everywhere is what eyes and Inception-like features see first.

Source: Nagel et al. 2019, Data-Free Quantization through Weight Equalization and Bias Correction, arXiv:1906.04721,
section 4.2 and appendix D: from photos, one operation after the other, so that each makes up for all before it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compress.images import to_float
from export.graph.operations import Operation, Weighted
from export.graph.quantized import QuantizedGraph, dequantize_kernel, quantize_with_scales, replace_biases
from export.interpreter.numpy_float import activate, compute, execute_graph

PHOTOS = 8
"""The most photos that are run, all at once: means over their pixels hardly move with more."""


def correct_biases(quantized: QuantizedGraph, photos: Sequence[np.ndarray]) -> QuantizedGraph:
    """Move the biases of a quantised graph so that each operation's mean over photos is that of the float graph.

    Args:
        quantized: A graph and the scale of each tensor, all of it in int8.
        photos: `(height, width, 3)` uint8, at least one; the first `PHOTOS` are run.

    Returns:
        The same scales over a graph with other biases. In float that graph is no longer the original net.
    """
    graph, tensors = quantized.graph, quantized.tensors
    biases: dict[str, np.ndarray] = {}

    def step(operation: Operation, *inputs: np.ndarray) -> np.ndarray:
        """Compute a batch: its first half exact, its second the same photos rounded after every operation."""
        if isinstance(operation, Weighted):
            exact, rounded = np.split(inputs[0], 2)
            linear = replace(operation, activation="none")
            kernel = dequantize_kernel(operation, quantized.weights[operation.output])
            sums, sums_rounded = compute(linear, exact), compute(replace(linear, kernel=kernel), rounded)
            shift = (sums - sums_rounded).mean(axis=(0, 1, 2))
            biases[operation.output] = operation.bias + shift
            result = activate(np.concatenate([sums, sums_rounded + shift]), operation.activation)
        else:
            result = compute(operation, *inputs)
        exact, rounded = np.split(result, 2)
        return np.concatenate([exact, tensors[operation.output].fake_quantize(rounded)])

    pictures = np.stack([to_float(photo) for photo in photos[:PHOTOS]])
    execute_graph(graph, np.concatenate([pictures, tensors[graph.input].fake_quantize(pictures)]), step, None)
    return quantize_with_scales(replace_biases(graph, biases), tensors)
