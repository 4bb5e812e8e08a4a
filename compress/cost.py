"""Cost of a generator: parameters and multiply-accumulates, per layer and in total.

1 MAC = 2 FLOPs. Convolutions alone are counted, without bias, as the papers of the field do; a transposed convolution
is counted at its output's resolution, as the published 56.8 GMACs of the CycleGAN generator at 256x256 are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
CONVOLUTIONS = frozenset({"Conv2D", "Conv2DTranspose", "DepthwiseConv2D", "SeparableConv2D"})
_FUSING = CONVOLUTIONS | {"BatchNormalization", "Add", "Multiply"}
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


def predict_int8_bytes(rows: Sequence[LayerCost]) -> int:
    """Predict the size of the int8 .tflite that `compress export` writes with `--io-type float`.

    Args:
        rows: A student's layers in order.

    Returns:
        Bytes; a student's within 2 %. Too few for a generator with InstanceNorm, which an export takes apart.
    """
    convolutions = [row for row in rows if row.kind in CONVOLUTIONS]
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
    gone = CONVOLUTIONS | {"InputLayer", "BatchNormalization"}
    before = ["", *(row.kind for row in rows)]
    fused = [row.kind == "ReLU" and kind in _FUSING for row, kind in zip(rows, before, strict=False)]
    return sum(row.kind not in gone and not vanished for row, vanished in zip(rows, fused, strict=True))
