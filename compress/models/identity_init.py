"""Identity initialisation: a ResNet generator starts as a copy of its input, so that it only learns the change.

A value travels as two channels, since a ReLU lets only one sign through: itself and its negative. Each halving of the
size lays the four pixels of a square into channels of their own, each doubling takes them out again, and the trunk
passes them on. The channels besides start as they were drawn, and reach the image once training wants them to.
"""

from typing import Any

import keras
import numpy as np
from keras import layers

_COLOURS = 3
_SQUARE = [(row, column) for row in (0, 1) for column in (0, 1)]
"""Taps of a 3x3 kernel that lie on a square of pixels, where the stride is 2 and the padding `same`."""
_KNOTS = np.array([0.0, 0.55, 0.8, 0.93, 0.99])
"""Knots of the piecewise linear inverse of the last tanh, in pixel values: at most 0.03 off."""


def initialize_identity(generator: keras.Model) -> None:
    """Set the weights of an untrained `resnet_generator` without norms to the identity; its trunk must be one already.

    Args:
        generator: Has at least 24 filters at full resolution: a square of 4x4 RGB pixels is 48 values, so 96 channels
            at a quarter of it.
    """
    convolutions = [layer for layer in generator.layers if isinstance(layer, layers.Conv2D | layers.Conv2DTranspose)]
    first, *halving = convolutions[:3]
    *doubling, last = convolutions[-3:]
    _edit_kernel(first, _set_first)
    for scale, layer in enumerate(halving):
        _edit_kernel(layer, lambda kernel, values=_COLOURS * 4**scale: _set_downsampling(kernel, values))
    slopes = np.diff(np.arctanh(_KNOTS)) / np.diff(_KNOTS)
    # The last doubling gives each value once for every knot, less the knot: what it exceeds it by.
    for layer, values, knots in zip(doubling, (_COLOURS * 4, _COLOURS), (_KNOTS[:1], _KNOTS[:-1]), strict=True):
        _edit_kernel(layer, lambda kernel, values=values, knots=knots: _set_upsampling(kernel, values, len(knots)))
        bias = np.array(layer.bias)
        bias[: 2 * values * len(knots)] = -np.repeat(knots, 2 * values)
        layer.bias.assign(bias)
    _edit_kernel(last, lambda kernel: _set_last(kernel, np.diff(slopes, prepend=0.0)))


def _edit_kernel(layer: Any, write: Any) -> None:
    kernel = np.array(layer.kernel)
    write(kernel)
    layer.kernel.assign(kernel)


def _set_first(kernel: np.ndarray) -> None:
    """Set a kernel `(7, 7, colour, channel)` to give each colour and its negative."""
    kernel[..., : 2 * _COLOURS] = 0
    for colour in range(_COLOURS):
        kernel[3, 3, colour, [colour, _COLOURS + colour]] = 1, -1


def _set_downsampling(kernel: np.ndarray, values: int) -> None:
    """Set a kernel `(3, 3, in, out)` to give the values of four neighbours, then their negatives."""
    gathered = len(_SQUARE) * values
    kernel[..., : 2 * gathered] = 0
    for place, tap in enumerate(_SQUARE):
        for value in range(values):
            there = place * values + value
            kernel[*tap, [value, values + value], there] = 1, -1
            kernel[*tap, [value, values + value], gathered + there] = -1, 1


def _set_upsampling(kernel: np.ndarray, values: int, copies: int) -> None:
    """Set a kernel `(3, 3, out, in)` to put four neighbours' values in place, then their negatives, `copies` times."""
    gathered = len(_SQUARE) * values
    kernel[:, :, : 2 * values * copies] = 0
    for place, tap in enumerate(_SQUARE):
        for value in range(values):
            there = [place * values + value, gathered + place * values + value]
            for copy in range(copies):
                out = 2 * values * copy + value
                kernel[*tap, out, there] = 1, -1
                kernel[*tap, out + values, there] = -1, 1


def _set_last(kernel: np.ndarray, bends: np.ndarray) -> None:
    """Set a kernel `(7, 7, channel, colour)` to sum the changes of slope at each knot times the excess over it."""
    kernel[...] = 0
    for colour in range(_COLOURS):
        for copy, bend in enumerate(bends):
            at = 2 * _COLOURS * copy + colour
            kernel[3, 3, [at, at + _COLOURS], colour] = bend, -bend
