"""Removal of channels: a generator rebuilt with narrower layers, the same graph and the weights that are left."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from compress.prune.groups import Unit, kernel_axes

_Removed = dict[str, dict[tuple[str, int], list[int]]]
"""Indices to take out, by layer, then by variable and axis."""


def remove_channels(model: keras.Model, units: Iterable[Unit]) -> keras.Model:
    """Remove units from a generator.

    Args:
        model: Functional; it is left as it is.
        units: Units of `groups.find_groups(model)`; of every group at least one has to stay.

    Returns:
        A model that returns what `model` would if nothing read the removed channels, with layers of the same names.
    """
    removed: _Removed = defaultdict(lambda: defaultdict(list))
    for unit in units:
        for piece in unit:
            removed[piece.layer][piece.variable, piece.axis].append(piece.index)

    def narrowed(layer: Any) -> Any:
        config = layer.get_config()
        if "filters" in config:
            _, making = kernel_axes(layer)
            config["filters"] -= len(removed[layer.name]["kernel", making])
        return type(layer).from_config(config)

    pruned = keras.models.clone_model(model, clone_function=narrowed)
    for layer in model.layers:
        for variable, target in zip(layer.weights, pruned.get_layer(layer.name).weights, strict=True):
            target.assign(_cut(variable, removed[layer.name]))
    return pruned


def _cut(variable: Any, removed: dict[tuple[str, int], list[int]]) -> np.ndarray:
    value = np.asarray(keras.ops.convert_to_numpy(variable.value))
    for (name, axis), indices in removed.items():
        if name == variable.name:
            value = np.delete(value, indices, axis=axis)
    return value
