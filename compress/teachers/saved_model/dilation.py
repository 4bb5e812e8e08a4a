"""Rules for dilated convolutions, as TensorFlow writes them in a graph.

It takes the image apart into as many smaller ones as the dilation has pixels (`SpaceToBatchND`), convolves these as
they are, and puts the results together again (`BatchToSpaceND`).
"""

from dataclasses import replace
from typing import Any

import numpy as np

from compress.teachers.description import LayerKind
from compress.teachers.saved_model.arithmetic import unknown
from compress.teachers.saved_model.operation import SavedOperation
from compress.teachers.saved_model.values import Combined, Image, TakenApart, Unknown, Value


def space_to_batch(operation: SavedOperation) -> Value:
    """Translate an image that is padded and taken apart."""
    value, block, margins = operation.inputs
    if not isinstance(value, (Image, Combined)) or not isinstance(block, np.ndarray) or block.shape != (2,):
        return unknown(operation)
    if not isinstance(margins, np.ndarray):
        return Unknown(f"a dilated convolution at a size that is not in the file ({operation.node.op})")
    return TakenApart(operation.image(), (int(block[0]), int(block[1])), margins.tolist())


def convolve_apart(kind: LayerKind, config: dict[str, Any], apart: TakenApart, kernel: np.ndarray) -> Value:
    """Translate the convolution of an image that is taken apart.

    Args:
        kind: Kind of its layer.
        config: The layer's configuration.
        apart: The image.
        kernel: The layer's kernel.
    """
    plain = config["padding"] == "valid" and config["strides"] == [1, 1] and config["dilation_rate"] == [1, 1]
    if not plain or apart.convolution is not None:
        return Unknown("a convolution with strides or padding within a dilated one")
    return replace(apart, convolution=(kind, config, kernel))


def batch_to_space(operation: SavedOperation) -> Value:
    """Translate the end of a dilated convolution, which becomes one layer, and one before it that pads."""
    apart, block, crops = operation.inputs
    if isinstance(apart, Unknown):
        return apart
    if not isinstance(apart, TakenApart) or not isinstance(block, np.ndarray) or not isinstance(crops, np.ndarray):
        return unknown(operation)
    if apart.convolution is None or tuple(block.tolist()) != apart.block or crops[:, 0].any():
        return unknown(operation)
    margins = (np.asarray(apart.margins) - crops).tolist()
    if any(side < 0 for pair in margins for side in pair):
        return unknown(operation)
    kind, config, kernel = apart.convolution
    image = apart.image
    reach = [(side - 1) * step for side, step in zip(config["kernel_size"], apart.block, strict=True)]
    same = margins == [[whole // 2, whole - whole // 2] for whole in reach]
    if any(map(any, margins)) and not same:
        image = operation.write_layer("ZeroPadding2D", {"padding": margins}, (image,))
    whole = {**config, "dilation_rate": list(apart.block), "padding": "same" if same else "valid"}
    return operation.write_convolution(kind, whole, image, kernel)
