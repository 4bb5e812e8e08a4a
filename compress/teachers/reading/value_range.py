"""Range of pixel values that a generator's layers take and make, as its last layers show it."""

from dataclasses import replace

from compress.teachers.description import INPUT, Convention, GeneratorDescription, LayerDescription, ValueRange

_FLAG = "--value-range"
_PASSED_BY = frozenset({"Cropping2D", "ZeroPadding2D", "ReflectionPadding2D", "ReplicationPadding2D"})
"""Layers that only move pixels, behind which a last activation is looked for."""
_SQUASHED: dict[str, ValueRange] = {"tanh": "-1..1", "sigmoid": "0..1"}


def find_value_ranges(description: GeneratorDescription) -> GeneratorDescription:
    """Return a description with the value ranges that its last activation shows, and with what shows them.

    A range that the file's reader has found, such as by a `Rescaling`, stays.
    """
    known = {convention.topic for convention in description.conventions}
    last = _last_function(description)
    shown = _SQUASHED.get(str(last.config.get("activation"))) if last is not None else None
    found, values = list(description.conventions), {}
    if "value range out" not in known:
        values["value_range_out"] = value = shown or "-1..1"
        basis = "file" if shown else "assumed"
        because = f"its last layer is a {_SQUASH_NAMES[value]}" if shown else "no last layer bounds its values"
        found.append(Convention(topic="value range out", value=value, basis=basis, because=because, flag=_FLAG))
    if "value range in" not in known:
        values["value_range_in"] = value = values.get("value_range_out", description.value_range_out)
        because = "a generator takes what it makes"
        found.append(Convention(topic="value range in", value=value, basis="assumed", because=because, flag=_FLAG))
    return replace(description, conventions=tuple(found), **values)


_SQUASH_NAMES: dict[ValueRange, str] = {"-1..1": "tanh", "0..1": "sigmoid"}


def _last_function(description: GeneratorDescription) -> LayerDescription | None:
    """Return the layer that the output's values come from; None where that is the input itself."""
    layers = {layer.name: layer for layer in description.layers}
    name = description.output
    while name != INPUT and layers[name].kind in _PASSED_BY:
        name = layers[name].inputs[0]
    return layers.get(name)
