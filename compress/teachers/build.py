"""Builder of Keras 3 generators from descriptions."""

from typing import Any

import keras
import numpy as np

from compress.errors import UnusableModel
from compress.models import layers as pocket_layers
from compress.teachers.description import INPUT, GeneratorDescription, LayerDescription

_MERGES = ("Add", "Multiply", "Concatenate")


def build_generator(description: GeneratorDescription) -> keras.Model:
    """Build a generator with the weights of its description.

    Returns:
        A functional model `(batch, height, width, 3)` float32 in [-1, 1] to the same, named `generator`.

    Raises:
        UnusableModel: If layers do not fit each other, or a weight is missing, left over, of the wrong shape or not
            finite.
    """
    image = keras.Input(description.input_shape, name="image")
    tensors: dict[str, Any] = {INPUT: image}
    remaining = dict(description.weights)
    for spec in description.layers:
        layer = _layer_class(spec.kind)(**spec.config, name=spec.name)
        try:
            inputs = [tensors[name] for name in spec.inputs]
            tensors[spec.name] = layer(inputs if spec.kind in _MERGES else inputs[0])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UnusableModel(f"layer {spec.name} ({spec.kind}) does not fit its inputs: {error}") from error
        _set_weights(layer, spec, remaining)
    if remaining:
        raise UnusableModel(f"weight {sorted(remaining)[0]} belongs to no layer of the generator.")
    return keras.Model(image, tensors[description.output], name="generator")


def _layer_class(kind: str) -> Any:
    return getattr(pocket_layers, kind, None) or getattr(keras.layers, kind)


def _set_weights(layer: keras.layers.Layer, spec: LayerDescription, remaining: dict[str, np.ndarray]) -> None:
    for variable in layer.weights:
        key = f"{spec.name}/{variable.name}"
        if key not in remaining:
            raise UnusableModel(f"layer {spec.name} ({spec.kind}) has no {variable.name} in the file.")
        value = remaining.pop(key)
        if tuple(value.shape) != tuple(variable.shape):
            raise UnusableModel(f"{key} is {tuple(value.shape)} in the file, but its layer needs {variable.shape}.")
        if not np.isfinite(value).all():
            raise UnusableModel(f"{key} holds NaN or infinite values; the training of this file diverged.")
        variable.assign(value)
