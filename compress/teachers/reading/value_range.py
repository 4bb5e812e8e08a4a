"""Ranges of pixel values that a generator takes and makes, as its first and last layers show them."""

from dataclasses import replace
from functools import reduce

from compress.teachers.composed.scaling import Scaling, scalings_at_end, scalings_at_start
from compress.teachers.description import INPUT, Basis, Convention, GeneratorDescription, LayerDescription, ValueRange

_FLAG = "--value-range"
_PASSED_BY = frozenset({"Cropping2D", "ZeroPadding2D", "ReflectionPadding2D", "ReplicationPadding2D"})
"""Layers that only move pixels, behind which a last activation is looked for."""
_SQUASHED: dict[str, ValueRange] = {"tanh": "-1..1", "sigmoid": "0..1"}
_BOUNDS: dict[ValueRange, tuple[float, float]] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}
_TOLERANCE = 0.01
"""Part of a range by which its scaled bounds may lie beside it: 1/128 is written for 1/127.5, too."""


_NORMALISED_WIDTH = (1.0, 8.0)
"""Least and greatest width of pixels that mean 0 and deviation 1 were trained to: ImageNet's 0..1 become 4.4 wide."""


def find_value_ranges(description: GeneratorDescription) -> GeneratorDescription:
    """Return a description with the value ranges that its first and last layers show, and with what shows them.

    A range that the file's reader has found stays.
    """
    known = {convention.topic for convention in description.conventions}
    found, values = list(description.conventions), {}
    made, before_scaling = _range_out(description)
    if "value range out" not in known:
        values["value_range_out"] = made.value
        found.append(made)
    if "value range in" not in known:
        taken = _range_in(description, before_scaling or values.get("value_range_out", description.value_range_out))
        values["value_range_in"] = taken.value
        found.append(taken)
    return replace(description, conventions=tuple(found), **values)


def _told(end: str, value: str, basis: Basis, because: str) -> Convention:
    return Convention(topic=f"value range {end}", value=value, basis=basis, because=because, flag=_FLAG)


def _range_out(description: GeneratorDescription) -> tuple[Convention, ValueRange | None]:
    """Return the range that the last layers make, and the one that they scale it from; None where that is not known."""
    scalings, start = scalings_at_end(description)
    last = _last_function(description, start)
    squashed = _SQUASHED.get(str(last.config.get("activation"))) if last is not None else None
    if not scalings:
        if squashed is None:
            return _told("out", "-1..1", "assumed", "no last layer bounds its values"), None
        return _told("out", squashed, "file", f"its last layer is a {_SQUASH_NAMES[squashed]}"), None
    whole = reduce(lambda first, second: second.after(first), scalings)
    sources: list[ValueRange] = [squashed] if squashed else list(_BOUNDS)
    for source in sources:
        target = _range_of(whole, source)
        if target is not None and (squashed or target != source):
            return _told("out", target, "file", f"its last layer scales {source} to {target}"), source
    because = "its last layer scales to values of no known range"
    return _told("out", squashed or "-1..1", "assumed", because), squashed


def _range_in(description: GeneratorDescription, made: ValueRange) -> Convention:
    scalings = scalings_at_start(description)
    for number in range(len(scalings)):
        whole = reduce(lambda first, second: second.after(first), scalings[: number + 1])
        for source in _BOUNDS:
            target = _range_of(whole, source)
            if target is not None and target != source:
                return _told("in", source, "file", f"its first layer scales {source} to {target}")
    if not scalings:
        return _told("in", made, "assumed", "a generator takes what it makes")
    whole = reduce(lambda first, second: second.after(first), scalings)
    for source in _BOUNDS:
        if _normalises(whole, source):
            return _told("in", source, "assumed", f"its first layer makes mean 0 and deviation 1 of {source}")
    return _told("in", made, "assumed", "its first layer scales to values of no known range")


def _range_of(scaling: Scaling, source: ValueRange) -> ValueRange | None:
    """Return the known range that all channels of one become."""
    low, high = scaling.of(_BOUNDS[source])
    for name, (least, most) in _BOUNDS.items():
        if (abs(low - least) < _TOLERANCE * (most - least)).all() and (
            abs(high - most) < _TOLERANCE * (most - least)
        ).all():
            return name
    return None


def _normalises(scaling: Scaling, source: ValueRange) -> bool:
    low, high = scaling.of(_BOUNDS[source])
    least, most = _NORMALISED_WIDTH
    return bool(((low < 0) & (high > 0) & (high - low > least) & (high - low < most)).all())


_SQUASH_NAMES: dict[ValueRange, str] = {"-1..1": "tanh", "0..1": "sigmoid"}


def _last_function(description: GeneratorDescription, name: str) -> LayerDescription | None:
    """Return the layer that a layer's values come from; None where that is the input itself."""
    layers = {layer.name: layer for layer in description.layers}
    while name != INPUT and layers[name].kind in _PASSED_BY:
        name = layers[name].inputs[0]
    return layers.get(name)
