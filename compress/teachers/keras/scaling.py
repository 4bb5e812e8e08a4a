"""Writers of gains and offsets of pixels: `Rescaling`, `Normalization`, and arithmetic with constants."""

from typing import Any

import numpy as np

from compress.teachers.composed.scaling import write_scaling
from compress.teachers.keras.layer_writer import LayerWriter

_LEAST_DEVIATION = 1e-7
"""Keras's `epsilon()`, below which `Normalization` takes no deviation."""


def write_rescaling(layer: LayerWriter) -> str:
    """Write `scale * image + offset`, of one value or of one for each channel."""
    scale, offset = (
        _numbers(layer, layer.config.get(name, default)) for name, default in (("scale", 1), ("offset", 0))
    )
    return _write(layer, scale, offset)


def write_normalization(layer: LayerWriter) -> str:
    """Write `(image - mean) / deviation` of each channel, with statistics that are settings or were learnt."""
    if layer.config.get("axis", -1) not in (-1, 3, [-1], [3]):
        raise layer.error(f"normalises axis {layer.config.get('axis')}; expected channels, the last.")
    if layer.config.get("mean") is None:
        if len(layer.weights) < 2:
            raise layer.error("has no mean and variance; it was never adapted.")
        mean, variance = (value for _, value in layer.weights[:2])
    else:
        mean, variance = (_numbers(layer, layer.config.get(name)) for name in ("mean", "variance"))
    deviation = np.maximum(np.sqrt(np.maximum(variance, 0)), _LEAST_DEVIATION)
    if layer.config.get("invert"):
        return _write(layer, deviation, mean)
    return _write(layer, 1 / deviation, -mean / deviation)


def write_arithmetic(layer: LayerWriter, operation: str, constant: Any) -> str:
    """Write an image with a constant added, subtracted, multiplied or divided by, or taken from one.

    Raises:
        UnusableModel: If the constant is no number for all or for each channel, or is divided by the image.
    """
    value = _numbers(layer, constant)
    one, none = np.ones_like(value), np.zeros_like(value)
    if operation == "add":
        return _write(layer, one, value)
    if operation == "multiply":
        return _write(layer, value, none)
    if operation == "subtract":
        return _write(layer, -one, value) if layer.call.constant_first else _write(layer, one, -value)
    if layer.call.constant_first or not value.all():
        raise layer.error("divides a constant by an image, or an image by zero.")
    return _write(layer, 1 / value, none)


def _write(layer: LayerWriter, gain: np.ndarray, offset: np.ndarray) -> str:
    return write_scaling(layer.graph, layer.inputs[0], gain, offset, name=layer.label)


def _numbers(layer: LayerWriter, value: Any) -> np.ndarray:
    """Return a number, or one for each channel, as `(1,)` or `(channels,)`."""
    # Keras 3 writes an array of a configuration as an object of its own.
    held = value.get("config", {}).get("value") if isinstance(value, dict) else value
    try:
        numbers = np.asarray(held, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros((0,))
    if numbers.size == 0 or numbers.size != max(numbers.shape, default=1) or not np.isfinite(numbers).all():
        raise layer.error(f"scales by {str(value)[:60]}; expected a number, or one for each channel.")
    return numbers.reshape(-1)
