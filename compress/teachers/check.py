"""Check that a description is of an image-to-image generator whose layers fit each other and their weights."""

from collections.abc import Mapping

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import INPUT, LAYERS_LIMIT, GeneratorDescription, LayerDescription
from compress.teachers.memory import FLOAT_BYTES, peak_live_bytes, require_memory
from compress.teachers.settings import LARGEST, check_settings
from compress.teachers.shapes import Shape, WeightShapes, infer_shapes

FREE_SIDE_PX = 256
"""Image side at which a generator of free size is checked, pixels; most are trained at it."""
TRIAL_SIDES_PX = (32, 64, 128, 256)
"""Sides of the picture that a generator must make on trial, pixels: the first that its layers fit."""


def check_description(description: GeneratorDescription) -> None:
    """Check a description without building it.

    Raises:
        UnusableModel: If a layer cannot be built or does not fit its inputs, a weight is missing, left over, of the
            wrong shape or not finite, the output is not an image as large as the input, or making it takes more memory
            than any generator needs.
    """
    if len(description.layers) > LAYERS_LIMIT:
        raise too_many_layers_error()
    for layer in description.layers:
        check_settings(layer)
    shapes = layer_shapes(description, input_size(description))
    _check_all_weights(description, shapes)
    entry, output = shapes[INPUT], shapes[description.output]
    if entry[2] != 3 or output != entry:
        raise UnusableModel(
            f"it makes {'x'.join(map(str, output))} of {'x'.join(map(str, entry))} (height x width x channels); "
            "expected an image-to-image generator, with 3 channels and the same size in and out."
        )
    require_memory(picture_bytes(description, shapes), entry[0] * entry[1])


def too_many_layers_error() -> UnusableModel:
    """Return the error for a net of more layers than any generator has."""
    return UnusableModel(f"it has more than {LAYERS_LIMIT} layers, more than any generator; the file is damaged.")


def input_size(description: GeneratorDescription) -> tuple[int, int]:
    """Return the height and width that a generator takes, `FREE_SIDE_PX` where a side is free.

    Raises:
        UnusableModel: If its input is no image of a size that can be.
    """
    shape = description.input_shape
    sides = [FREE_SIDE_PX if side is None else side for side in shape[:2]]
    if len(shape) != 3 or shape[2] != 3 or not all(type(side) is int and 0 < side <= LARGEST for side in sides):
        raise UnusableModel(f"its input is {tuple(shape)}; expected images (height, width, 3).")
    return sides[0], sides[1]


def trial_size(description: GeneratorDescription) -> tuple[int, int]:
    """Return the height and width of the smallest picture that a checked generator makes whole, pixels."""
    for side in TRIAL_SIDES_PX:
        try:
            shapes = layer_shapes(description, (side, side))
        except UnusableModel:
            continue
        if shapes[description.output] == (side, side, 3) and _fits_weights(description, shapes):
            return side, side
    return input_size(description)


def layer_shapes(description: GeneratorDescription, size: tuple[int, int]) -> dict[str, Shape]:
    """Return the output shape of every layer by name, for images of a height and width.

    Raises:
        UnusableModel: If a layer does not fit its inputs.
    """
    shapes: dict[str, Shape] = {INPUT: (*size, description.input_shape[2])}
    for layer in description.layers:
        shapes[layer.name], _ = infer_shapes(layer, [shapes[name] for name in layer.inputs])
    return shapes


def picture_bytes(description: GeneratorDescription, shapes: Mapping[str, Shape]) -> int:
    """Return the bytes of activations that a generator holds at a time while it makes one picture."""
    steps = [(layer.inputs, (layer.name,)) for layer in description.layers]

    def bytes_of(name: str) -> int:
        height, width, channels = shapes[name]
        return height * width * channels * FLOAT_BYTES

    return peak_live_bytes(steps, bytes_of, kept=(INPUT, description.output))


def _check_all_weights(description: GeneratorDescription, shapes: Mapping[str, Shape]) -> None:
    remaining = dict(description.weights)
    for layer in description.layers:
        _, expected = infer_shapes(layer, [shapes[name] for name in layer.inputs])
        _check_weights(layer, expected, remaining)
    if remaining:
        raise UnusableModel(f"weight {sorted(remaining)[0]} belongs to no layer of the generator.")


def _fits_weights(description: GeneratorDescription, shapes: Mapping[str, Shape]) -> bool:
    """Return whether no weight depends on the size of the image, as those of a PReLU for each pixel do."""
    return all(
        description.weights[f"{layer.name}/{role}"].shape == shape
        for layer in description.layers
        for role, shape in infer_shapes(layer, [shapes[name] for name in layer.inputs])[1].items()
    )


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
