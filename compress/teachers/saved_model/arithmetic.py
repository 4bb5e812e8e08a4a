"""Rules for sums and products of a TensorFlow graph: of stored values, of images, and within a normalisation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from compress.teachers.saved_model.operation import SavedOperation
from compress.teachers.saved_model.values import (
    Centred,
    Image,
    Inverse,
    Moment,
    Offset,
    Scaled,
    SizeOf,
    Unknown,
    Value,
)

_SPATIAL_AXES = ((1, 2), (-3, -2))


def _unknown(operation: SavedOperation) -> Value:
    return Unknown(operation.node.op)


def fold(
    compute: Callable[..., Any], otherwise: Callable[[SavedOperation], Value] = _unknown
) -> Callable[[SavedOperation], Value]:
    """Return a rule that computes with stored values, and leaves all others to `otherwise`."""

    def rule(operation: SavedOperation) -> Value:
        if all(isinstance(value, np.ndarray) for value in operation.inputs):
            return np.asarray(compute(*operation.inputs))
        return otherwise(operation)

    return rule


def mean(operation: SavedOperation) -> Value:
    """Translate a mean over height and width, of an image or of its squared differences from that."""
    value, axes = operation.inputs
    spatial = isinstance(axes, np.ndarray) and tuple(axes.reshape(-1).tolist()) in _SPATIAL_AXES
    if spatial and operation.attribute("keep_dims").b:
        if isinstance(value, Image):
            return Moment(value.layer, "mean")
        if isinstance(value, Moment) and value.kind == "squared_difference":
            return replace(value, kind="variance")
    return _unknown(operation)


def squared_difference(operation: SavedOperation) -> Value:
    """Translate the squared difference of an image and its mean."""
    match operation.inputs:
        case (Image(layer), Moment(image, "mean")) | (Moment(image, "mean"), Image(layer)) if layer == image:
            return Moment(image, "squared_difference")
    return _unknown(operation)


def subtract(operation: SavedOperation) -> Value:
    """Translate an image minus its mean, and the offset of a normalisation."""
    match operation.inputs:
        case (Image(layer), Moment(image, "mean")) if layer == image:
            return Centred(image)
        case (np.ndarray() as beta, Inverse(times="mean") as scaled_mean):
            return Offset(beta, scaled_mean)
    return _unknown(operation)


def inverse_root(operation: SavedOperation) -> Value:
    """Translate the reciprocal square root of a variance."""
    match operation.inputs:
        case (Moment(image, "variance", epsilon),):
            return Inverse(image, epsilon)
    return _unknown(operation)


def multiply(operation: SavedOperation) -> Value:
    """Translate a product of images, gains and parts of a normalisation, in either order."""
    first, second = operation.inputs
    result = _product(operation, first, second)
    return _product(operation, second, first) if isinstance(result, Unknown) else result


def _product(operation: SavedOperation, first: Value, second: Value) -> Value:
    match first, second:
        case (Inverse(gain=None, times="nothing"), np.ndarray()):
            return replace(first, gain=second)
        case (Image(layer), Inverse(image, times="nothing")) if layer == image:
            return replace(second, times="image")
        case (Moment(mean_of, "mean"), Inverse(image, times="nothing")) if mean_of == image:
            return replace(second, times="mean")
        case (Centred(centred), Inverse(image, times="nothing")) if centred == image:
            return operation.add_instance_norm(second, None)
        case (SizeOf(), np.ndarray()) if second.shape == (2,):
            return replace(first, factors=(int(second[0]), int(second[1])))
        case (Image(layer), np.ndarray()) if second.size > 1:
            return Scaled(layer, second)
        case (Image() | Moment(), Image() | Moment()):
            return operation.add("Multiply", {}, 0, 1)
    return _unknown(operation)


def add(operation: SavedOperation) -> Value:
    """Translate a sum of images, biases and parts of a normalisation, in either order."""
    first, second = operation.inputs
    result = _sum(operation, first, second)
    return _sum(operation, second, first) if isinstance(result, Unknown) else result


def _sum(operation: SavedOperation, first: Value, second: Value) -> Value:
    match first, second:
        case (Moment(image, "variance"), np.ndarray()) if second.size == 1:
            return replace(first, epsilon=float(second.reshape(())))
        case (Inverse(times="image"), Offset()) if first.image == second.scaled_mean.image:
            return operation.add_instance_norm(first, second.beta)
        case (Scaled(image, gain), np.ndarray()):
            return operation.add_affine(image, gain, second)
        case (Image(layer), np.ndarray()) if second.size > 1:
            return operation.add_bias(layer, second)
        case (Image() | Moment() | Scaled(), Image() | Moment() | Scaled()):
            return operation.add("Add", {}, 0, 1)
    return _unknown(operation)
