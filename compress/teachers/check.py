"""Check that a description is of an image-to-image generator whose layers fit each other and their weights."""

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, GeneratorDescription, LayerDescription
from compress.teachers.shapes import Shape, WeightShapes, infer_shapes

FREE_SIDE_PX = 256
"""Image side at which a generator of free size is checked, pixels; most are trained at it."""


def check_description(description: GeneratorDescription) -> None:
    """Check a description without building it.

    Raises:
        UnusableModel: If a layer does not fit its inputs, a weight is missing, left over, of the wrong shape or not
            finite, or the output is not an image as large as the input.
    """
    shapes = layer_shapes(description)
    entry, output = shapes[INPUT], shapes[description.output]
    if entry[2] != 3 or output != entry:
        raise UnusableModel(
            f"it makes {'x'.join(map(str, output))} of {'x'.join(map(str, entry))} (height x width x channels); "
            "expected an image-to-image generator, with 3 channels and the same size in and out."
        )


def layer_shapes(description: GeneratorDescription) -> dict[str, Shape]:
    """Return the output shape of every layer by name, at the input's size or at `FREE_SIDE_PX` where that is free."""
    height, width, channels = description.input_shape
    shapes: dict[str, Shape] = {INPUT: (height or FREE_SIDE_PX, width or FREE_SIDE_PX, channels)}
    remaining = dict(description.weights)
    for layer in description.layers:
        shapes[layer.name], expected = infer_shapes(layer, [shapes[name] for name in layer.inputs])
        _check_weights(layer, expected, remaining)
    if remaining:
        raise UnusableModel(f"weight {sorted(remaining)[0]} belongs to no layer of the generator.")
    return shapes


def _check_weights(layer: LayerDescription, expected: WeightShapes, remaining: dict[str, np.ndarray]) -> None:
    for role, shape in expected.items():
        value = remaining.pop(f"{layer.name}/{role}", None)
        if value is None:
            raise UnusableModel(f"layer {layer.name} ({layer.kind}) has no {role} in the file.")
        if value.shape != shape:
            raise UnusableModel(f"{layer.name}/{role} is {value.shape} in the file, but its layer needs {shape}.")
        if not np.isfinite(value).all():
            raise UnusableModel(
                f"{layer.name}/{role} holds NaN or infinite values; the training of this file diverged."
            )
