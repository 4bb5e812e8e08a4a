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
_ENDS_BYTES = {"float": 0, "uint8": 600, "int8": -260}
"""What an int8 file holds more with other ends than float ones."""
_FLOAT_FILE_BYTES = {
    # Precision -> of the file, a convolution, another operation, a channel, zero points as above, and a weight.
    "fp32": (1585, 288, 55, 4, 0, 4),
    "fp16": (1605, 384, 47, 4, 0, 2),
    "dynamic": (1635, 404, -43, 8, 5, 1),
}
FILE_ERROR = 0.015
"""Largest error of `predict_file_bytes`, as a fraction, of 63 untrained students with weights drawn at random: all
families, widths 8 to 96, 1 to 4 blocks, with and without context and image_skip, either upsampler, kernels up to 7x7.
int8 with float ends came within 0.8 %, with uint8 ends within 1.3 %; fp32 0.3 %, fp16 0.4 %, dynamic 1.4 %."""
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
    parts = (
        *(_INT8_FILE_BYTES, _INT8_CONVOLUTION_BYTES, _INT8_OPERATION_BYTES),
        *(_INT8_CHANNEL_BYTES, _INT8_ZERO_POINT_BYTES, 1),
    )
    return _sum_bytes(rows, parts)


def predict_file_bytes(rows: Sequence[LayerCost], *, precision: str, io_type: str = "float") -> int:
    """Predict the size of the .tflite that `compress export` writes at one image size.

    Args:
        rows: A student's layers in order.
        precision: As `compress export tflite --precision`.
        io_type: As its `--io-type`.

    Returns:
        Bytes, within `FILE_ERROR`.
    """
    if precision == "int8":
        return predict_int8_bytes(rows) + _ENDS_BYTES[io_type]
    return _sum_bytes(rows, _FLOAT_FILE_BYTES[precision])


def _sum_bytes(rows: Sequence[LayerCost], parts: Sequence[int]) -> int:
    """Sum a file's bytes up.

    Args:
        rows: Layers in order.
        parts: Bytes of the file itself, a convolution, another operation, a channel, one of a number of channels that
            other layers have too, and a weight.
    """
    convolutions = [row for row in rows if row.kind in CONVOLUTIONS]
    channels = [row.output_shape[2] for row in convolutions]
    counts = (
        *(1, len(convolutions), _other_operations(rows)),
        *(sum(channels), sum(set(channels)), sum(row.kernel_weights for row in convolutions)),
    )
    return sum(count * part for count, part in zip(counts, parts, strict=True))


def _other_operations(rows: Sequence[LayerCost]) -> int:
    """Count the layers that stay an operation: BatchNormalization and most ReLU are folded into others."""
    gone = CONVOLUTIONS | {"InputLayer", "BatchNormalization"}
    before = ["", *(row.kind for row in rows)]
    fused = [row.kind == "ReLU" and kind in _FUSING for row, kind in zip(rows, before, strict=False)]
    return sum(row.kind not in gone and not vanished for row, vanished in zip(rows, fused, strict=True))
