"""Kernels in fewer bytes: integers with a scale per output channel, or indices into a table of values.

What Core ML calls `constexpr_affine_dequantize` and `constexpr_lut_to_dense`: since iOS 16, both are undone when the
model is loaded or while it runs, and the arithmetic is that of floats.
"""

import numpy as np

LARGEST_INTEGER = 127
"""Largest magnitude of a symmetric int8 weight."""
FEWEST_WEIGHTS = 2048
"""The smallest kernel that is compressed; tables of a smaller one weigh as much as they save."""
_LLOYD_STEPS = 100


def quantize_channels(kernel: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Round a kernel to integers, symmetric per channel.

    Args:
        kernel: Weights of any shape, float32.
        axis: The axis of its output channels.

    Returns:
        int8 integers in [-127, 127] of the kernel's shape, and float16 scales, one per channel. A scale is rounded to
        float16 before the integers are chosen, so that they make up for it.
    """
    largest = np.abs(kernel).max(axis=tuple(other for other in range(kernel.ndim) if other != axis))
    smallest_normal = np.finfo(np.float16).tiny
    scales = np.maximum(largest / LARGEST_INTEGER, smallest_normal).astype(np.float16)
    along = scales.astype(np.float32).reshape([-1 if other == axis else 1 for other in range(kernel.ndim)])
    integers = np.clip(np.rint(kernel / along), -LARGEST_INTEGER, LARGEST_INTEGER)
    return integers.astype(np.int8), scales


def palettize(kernel: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose `2 ** bits` values for a kernel, the squared error being least as far as Lloyd's iteration finds.

    Args:
        kernel: Weights of any shape, float32.
        bits: 6 or 8.

    Returns:
        The table `(2 ** bits,)` float16, ascending, and for each weight its index, uint8, of the kernel's shape.

    Source: Lloyd 1982, Least Squares Quantization in PCM. In one dimension clusters are intervals, so a step needs no
    more than the running sum of the sorted weights.
    """
    ordered = np.sort(kernel, axis=None).astype(np.float64)
    running = np.concatenate([[0.0], np.cumsum(ordered)])
    entries = 1 << bits
    # Half of the entries follow where the weights are, half the span they cover: the few large ones matter too.
    table = np.sort(
        np.concatenate(
            [
                np.quantile(ordered, (np.arange(entries // 2) + 0.5) / (entries // 2)),
                np.linspace(ordered[0], ordered[-1], entries - entries // 2),
            ]
        )
    )
    for _ in range(_LLOYD_STEPS):
        bounds = np.concatenate([[0], np.searchsorted(ordered, _midpoints(table)), [ordered.size]])
        counts = np.diff(bounds)
        means = np.where(counts > 0, np.diff(running[bounds]) / np.maximum(counts, 1), table)
        settled = np.array_equal(means, table)
        table = np.sort(means)
        if settled:
            break
    stored = table.astype(np.float16)
    return stored, np.searchsorted(_midpoints(stored.astype(np.float64)), kernel).astype(np.uint8)


def _midpoints(table: np.ndarray) -> np.ndarray:
    """Return the borders between the intervals of neighbouring entries."""
    return (table[:-1] + table[1:]) / 2


def pack_indices(indices: np.ndarray, bits: int) -> np.ndarray:
    """Pack indices of `bits` bits, least significant bit first: `(ceil(size * bits / 8),)` uint8."""
    each = np.unpackbits(indices.reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return np.packbits(each, axis=None, bitorder="little")
