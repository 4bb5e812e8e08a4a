"""Builder of Keras 3 generators from descriptions."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from compress.errors import UnusableModel
from compress.models import layers as pocket_layers
from compress.printable import printable
from compress.teachers.check import check_description, trial_size
from compress.teachers.description import INPUT, GeneratorDescription, LayerDescription

_MERGES = ("Add", "Multiply", "Concatenate")


def build_generator(description: GeneratorDescription) -> keras.Model:
    """Build a generator with the weights of its description, and make a small picture with it.

    Returns:
        A functional model `(batch, height, width, 3)` float32 in [-1, 1] to the same, named `generator`.

    Raises:
        UnusableModel: If layers do not fit each other or cannot be run, a weight is missing, left over, of the wrong
            shape or not finite, or the picture is not finite.
    """
    check_description(description)
    image = keras.Input(description.input_shape, name="image")
    built: dict[str, keras.layers.Layer] = {}
    remaining = dict(description.weights)

    def build(spec: LayerDescription, inputs: Any) -> Any:
        built[spec.name] = layer = _layer_class(spec.kind)(**spec.config, name=spec.name)
        output = layer(inputs)
        _set_weights(layer, spec, remaining)
        return output

    output = _run(description, image, build)
    if remaining:
        raise UnusableModel(f"weight {sorted(remaining)[0]} belongs to no layer of the generator.")
    require_finite_picture(
        lambda picture: _run(description, picture, lambda spec, inputs: built[spec.name](inputs, training=False)),
        trial_size(description),
    )
    return keras.Model(image, output, name="generator")


def require_finite_picture(generate: Callable[[np.ndarray], Any], size: tuple[int, int]) -> None:
    """Have a generator make one picture of noise.

    Args:
        generate: Takes and returns `(1, height, width, 3)` float32.
        size: Height and width, pixels.

    Raises:
        UnusableModel: If the picture is not finite, or not as large as the noise.
    """
    noise = np.random.default_rng(0).uniform(-1, 1, (1, *size, 3)).astype(np.float32)
    picture = np.asarray(keras.ops.convert_to_numpy(generate(noise)))
    if picture.shape != noise.shape:
        raise UnusableModel(f"it makes {picture.shape[1:]} of a picture of {noise.shape[1:]}.")
    if not np.isfinite(picture).all():
        raise UnusableModel("the picture that it makes holds NaN or infinite values; its training diverged.")


def _run(description: GeneratorDescription, image: Any, call: Callable[[LayerDescription, Any], Any]) -> Any:
    """Run an image, or a symbol of one, through all layers; free what no later layer reads."""
    last_use = {name: number for number, spec in enumerate(description.layers) for name in spec.inputs}
    tensors: dict[str, Any] = {INPUT: image}
    for number, spec in enumerate(description.layers):
        try:
            inputs = [tensors[name] for name in spec.inputs]
            tensors[spec.name] = call(spec, inputs if spec.kind in _MERGES else inputs[0])
        except UnusableModel:
            raise
        except Exception as error:
            # Keras and its backends have many classes of errors for a layer that they cannot make or run.
            reason = printable(str(error).strip().split("\n")[0])
            raise UnusableModel(f"layer {spec.name} ({spec.kind}) cannot be built or run: {reason}") from error
        for name in spec.inputs:
            if last_use[name] == number and name != description.output:
                tensors.pop(name, None)
    return tensors[description.output]


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
        variable.assign(value)
