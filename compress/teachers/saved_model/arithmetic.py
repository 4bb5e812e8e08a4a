"""Rules for arithmetic in a TensorFlow graph: of stored values, of images, and within a normalisation.

Sums and products are multiplied out, so that a normalisation is found in whatever order its author or TensorFlow's
optimiser computes it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from compress.teachers.saved_model.operation import IMAGE, MEAN, ONE, SavedOperation
from compress.teachers.saved_model.values import (
    Combined,
    Dimension,
    Image,
    Powers,
    SecondMoment,
    Sizes,
    Spread,
    Statistics,
    Unknown,
    Value,
)

_INVERSE: Powers = (0, 0, 1)
_SQUARE: Powers = (2, 0, 0)
_VARIANCE: Mapping[Powers, float] = {_SQUARE: 1.0, (1, 1, 0): -2.0, (0, 2, 0): 1.0}
"""Terms of `(image - mean) ** 2`."""
_MOST_POWERS = 4
_HEIGHT_WIDTH, _ALL = ((1, 2), (-3, -2), (0, 1, 2), (-4, -3, -2)), ((1, 2, 3), (-3, -2, -1))
"""Axes of means; that over a batch as well, as BatchNorm takes it in training, is that over the only image in it."""
_OF_GROUP = ((1, 2, 4), (-4, -3, -1))

Rule = Callable[[SavedOperation], Value]


def unknown(operation: SavedOperation) -> Value:
    """Leave a value open."""
    return Unknown(operation.node.op)


def fold(compute: Callable[..., Any], otherwise: Rule = unknown) -> Rule:
    """Return a rule that computes with stored values, and leaves all others to `otherwise`."""

    def rule(operation: SavedOperation) -> Value:
        if all(isinstance(value, np.ndarray) for value in operation.inputs):
            return np.asarray(compute(*operation.inputs))
        return otherwise(operation)

    return rule


def mean(operation: SavedOperation) -> Value:
    """Translate a mean over height and width, or over a group: of an image, of its square, or its variance."""
    value, axes = operation.inputs
    value = combined(value)
    if not isinstance(value, Combined) or not isinstance(axes, np.ndarray) or not operation.attribute("keep_dims").b:
        return unknown(operation)
    listed = tuple(np.sort(axes.reshape(-1)).tolist())
    if value.parted is None and (listed in _HEIGHT_WIDTH or listed in _ALL):
        groups = None if listed in _HEIGHT_WIDTH else 1
    elif value.parted is not None and listed in _OF_GROUP:
        groups = value.parted[0]
    else:
        return unknown(operation)
    if _is(value, _VARIANCE) and value.statistics == Statistics(groups):
        return Spread(value.image, Statistics(groups))
    if _is(value, {_SQUARE: 1.0}):
        return SecondMoment(value.image, groups)
    if not _is(value, {IMAGE: 1.0}):
        if value.parted is not None:
            return unknown(operation)
        value = Combined(operation.write(value), {IMAGE: np.ones(1)})
    return replace(value, terms={MEAN: np.ones(1)}, statistics=Statistics(groups), written=None)


def squeeze(operation: SavedOperation) -> Value:
    """Pass on a mean or a variance whose height and width of 1 are left out: a number for each channel all the same."""
    value = operation.inputs[0]
    is_mean = isinstance(value, Combined) and value.parted is None and all(powers[0] == 0 for powers in value.terms)
    return value if is_mean or isinstance(value, Spread) else unknown(operation)


def combined(value: Value) -> Value:
    """Return an image as the sum that it is alone; all else as it is."""
    return Combined(value.layer, {IMAGE: np.ones(1)}) if isinstance(value, Image) else value


def _is(value: Combined, terms: Mapping[Powers, float]) -> bool:
    """Check whether a sum has exactly these terms."""
    return value.terms.keys() == terms.keys() and all((value.terms[powers] == terms[powers]).all() for powers in terms)


def squared_difference(operation: SavedOperation) -> Value:
    """Translate the square of a difference."""
    difference = _added(operation, operation.inputs[0], _times(operation, operation.inputs[1], np.array(-1.0)))
    return _times(operation, difference, difference)


def square(operation: SavedOperation) -> Value:
    """Translate a square."""
    return _times(operation, operation.inputs[0], operation.inputs[0])


def negate(operation: SavedOperation) -> Value:
    """Translate a change of sign."""
    return _times(operation, operation.inputs[0], np.array(-1.0))


def add(operation: SavedOperation) -> Value:
    """Translate a sum of images, biases and parts of a normalisation."""
    return _added(operation, *operation.inputs)


def subtract(operation: SavedOperation) -> Value:
    """Translate a difference; that of an image's second moment and its squared mean is its variance."""
    first, second = operation.inputs
    second = combined(second)
    match first, second:
        case SecondMoment(image, groups), Combined(image=of) if of == image and _is(second, {(0, 2, 0): 1.0}):
            return Spread(image, Statistics(groups)) if second.statistics == Statistics(groups) else unknown(operation)
    return _added(operation, first, _times(operation, second, np.array(-1.0)))


def multiply(operation: SavedOperation) -> Value:
    """Translate a product of images, gains and parts of a normalisation."""
    return _times(operation, *operation.inputs)


def divide(operation: SavedOperation) -> Value:
    """Translate a quotient by a stored value or by a deviation."""
    first, second = operation.inputs
    if isinstance(second, np.ndarray) and second.dtype.kind == "f" and second.all():
        return _times(operation, first, 1 / second)
    if isinstance(second, Spread) and second.root:
        return _times(operation, first, _inverse_of(second))
    return unknown(operation)


def root(operation: SavedOperation) -> Value:
    """Translate the square root of a variance."""
    value = operation.inputs[0]
    return replace(value, root=True) if isinstance(value, Spread) and not value.root else unknown(operation)


def inverse_root(operation: SavedOperation) -> Value:
    """Translate the reciprocal square root of a variance."""
    value = operation.inputs[0]
    return _inverse_of(value) if isinstance(value, Spread) and not value.root else unknown(operation)


def inverse(operation: SavedOperation) -> Value:
    """Translate the reciprocal of a deviation."""
    value = operation.inputs[0]
    return _inverse_of(value) if isinstance(value, Spread) and value.root else unknown(operation)


def power(operation: SavedOperation) -> Value:
    """Translate a square, and the root of a variance and its reciprocal."""
    _, exponent = operation.inputs
    if not isinstance(exponent, np.ndarray) or exponent.size != 1:
        return unknown(operation)
    rules: dict[float, Rule] = {2.0: square, 0.5: root, -0.5: inverse_root}
    return rules.get(float(exponent.reshape(())), unknown)(operation)


def maximum(operation: SavedOperation) -> Value:
    """Translate the larger of an image and a part of it, which is a leaky ReLU."""
    first, second = operation.inputs
    for image, part in ((first, combined(second)), (second, combined(first))):
        if isinstance(image, Image) and isinstance(part, Combined) and part.image == image.layer:
            slope = part.terms.get(IMAGE, np.zeros(1))
            if len(part.terms) == 1 and slope.size == 1 and 0 <= slope.item() <= 1:
                index = 0 if image is first else 1
                return operation.add("LeakyReLU", {"negative_slope": float(slope.item())}, index)
    return unknown(operation)


def _inverse_of(spread: Spread) -> Combined:
    return Combined(spread.image, {_INVERSE: np.ones(1)}, spread.statistics)


def _times(operation: SavedOperation, first: Value, second: Value) -> Value:
    first, second = combined(first), combined(second)
    if isinstance(first, np.ndarray):
        first, second = second, first
    match first, second:
        case np.ndarray(), np.ndarray():
            return first * second
        case Dimension() | Sizes(), np.ndarray():
            return _scaled_sizes(operation, first, second)
        case Combined(), np.ndarray():
            factor = _factor(operation, first, second)
            if factor is None:
                return unknown(operation)
            if operation.scale_convolution(first, factor):
                return Image(first.image)
            return replace(first, terms={key: value * factor for key, value in first.terms.items()}, written=None)
        case Combined(), Combined():
            return _product(operation, first, second)
    return unknown(operation)


def _product(operation: SavedOperation, first: Combined, second: Combined) -> Value:
    statistics = _common_statistics(first, second)
    if statistics is None:
        return Image(operation.write_layer("Multiply", {}, (operation.write(first), operation.write(second))))
    terms: dict[Powers, np.ndarray] = {}
    for one, factor in first.terms.items():
        for other, second_factor in second.terms.items():
            powers = (one[0] + other[0], one[1] + other[1], one[2] + other[2])
            terms[powers] = terms.get(powers, np.zeros(1)) + factor * second_factor
    if max(sum(powers) for powers in terms) > _MOST_POWERS:
        return unknown(operation)
    return Combined(first.image, terms, *statistics)


def _added(operation: SavedOperation, first: Value, second: Value) -> Value:
    first, second = combined(first), combined(second)
    if isinstance(first, np.ndarray):
        first, second = second, first
    match first, second:
        case np.ndarray(), np.ndarray():
            return first + second
        case Spread(), np.ndarray() if second.size == 1:
            amount = float(second.reshape(()))
            known = first.statistics
            changed = {"outside": known.outside + amount} if first.root else {"epsilon": known.epsilon + amount}
            return replace(first, statistics=replace(known, **changed))
        case Combined(), np.ndarray():
            factor = _factor(operation, first, second)
            if factor is None:
                return unknown(operation)
            if operation.move_convolution(first, factor):
                return Image(first.image)
            return replace(first, terms=_summed(first.terms, {ONE: factor}), written=None)
        case Combined(), Combined():
            statistics = _common_statistics(first, second)
            if statistics is None:
                return Image(operation.write_layer("Add", {}, (operation.write(first), operation.write(second))))
            return Combined(first.image, _summed(first.terms, second.terms), *statistics)
    return unknown(operation)


def _summed(first: Mapping[Powers, np.ndarray], second: Mapping[Powers, np.ndarray]) -> dict[Powers, np.ndarray]:
    summed = {key: first.get(key, np.zeros(1)) + second.get(key, np.zeros(1)) for key in (*first, *second)}
    return {key: factor for key, factor in summed.items() if factor.any()}


def _common_statistics(first: Combined, second: Combined) -> tuple[Statistics | None, tuple[int, int] | None] | None:
    """Return how both are normalised and parted, where they are sums of one image; None where they are of two."""
    if first.image != second.image:
        return None
    known = [one.statistics for one in (first, second) if one.statistics is not None]
    inverse = [one.statistics for one in (first, second) if any(powers[2] for powers in one.terms)]
    parted = {one.parted for one in (first, second) if one.parted is not None}
    if len({one.groups for one in known}) > 1 or len(set(inverse)) > 1 or len(parted) > 1:
        return None
    return (inverse or known or [None])[0], parted.pop() if parted else None


def _factor(operation: SavedOperation, value: Combined, stored: np.ndarray) -> np.ndarray | None:
    """Return a stored value as a factor for each channel; None where it varies along another axis."""
    if stored.dtype.kind not in "fiu":
        return None
    if stored.size == 1:
        return stored.reshape(1).astype(np.float32)
    channels = operation.writer.channels(value.image)
    groups = value.parted or (value.statistics.groups, -1) if value.statistics else value.parted
    if value.parted is None and stored.shape[-1] == stored.size == channels:
        return stored.reshape(-1).astype(np.float32)
    if groups and groups[0] and stored.ndim >= 2 and stored.shape[-2] * stored.shape[-1] == stored.size:
        shape = (groups[0], channels // groups[0])
        if stored.shape[-2] in (1, shape[0]) and stored.shape[-1] in (1, shape[1]):
            return np.broadcast_to(stored.reshape(stored.shape[-2:]), shape).reshape(-1).astype(np.float32)
    return None


def _scaled_sizes(operation: SavedOperation, sizes: Dimension | Sizes, factors: np.ndarray) -> Value:
    if factors.dtype.kind not in "iu" or (factors < 1).any():
        return unknown(operation)
    if isinstance(sizes, Dimension):
        return (
            replace(sizes, factor=sizes.factor * int(factors.reshape(()))) if factors.size == 1 else unknown(operation)
        )
    spread = (
        np.broadcast_to(factors.reshape(-1), (len(sizes.entries),)) if factors.size in (1, len(sizes.entries)) else ()
    )
    if len(spread) != len(sizes.entries):
        return unknown(operation)
    entries = [
        entry * int(factor) if isinstance(entry, int) else replace(entry, factor=entry.factor * int(factor))
        for entry, factor in zip(sizes.entries, spread, strict=True)
    ]
    return Sizes(tuple(entries))
