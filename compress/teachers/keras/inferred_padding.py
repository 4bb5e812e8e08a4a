"""Reflection paddings without amounts in the file, and `Lambda` layers, whose code is never run.

Amounts are inferred from the next layer: a convolution that pads nothing itself removes `kernel - 1` pixels, and in a
generator a padding before it adds them. `check` then finds out whether that makes a generator: additions must fit and
the output must be as large as the input.
"""

from dataclasses import replace
from typing import Any

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription, LayerDescription

UNKNOWN_PADDING: dict[str, Any] = {"padding": None}
"""Configuration of a reflection padding whose amounts are to be inferred."""
LAMBDA_PADDING: dict[str, Any] = {"padding": None, "lambda": True}
"""Configuration of a `Lambda`, which is a reflection padding only if the user says so."""

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2D", "SeparableConv2D"})


def refuse_lambda_layers(description: GeneratorDescription) -> None:
    """Refuse `Lambda` layers by name.

    Raises:
        UnusableModel: If there is one.
    """
    names = [layer.name for layer in description.layers if layer.config.get("lambda")]
    if names:
        others = f" and {len(names) - 1} more are Lambda layers" if len(names) > 1 else " is a Lambda layer"
        raise UnusableModel(
            f"{names[0]}{others}: code inside a file is never run. "
            "If they mirror the image's border, pass --lambda-layers reflection_pad."
        )


def infer_padding_amounts(description: GeneratorDescription) -> GeneratorDescription:
    """Fill in the amounts of reflection paddings that have none.

    Raises:
        UnusableModel: If no convolution without padding of its own follows one.
    """
    return replace(description, layers=tuple(_with_amounts(layer, description) for layer in description.layers))


def _with_amounts(layer: LayerDescription, description: GeneratorDescription) -> LayerDescription:
    if layer.kind != "ReflectionPadding2D" or layer.config["padding"] is not None:
        return layer
    followers = [follower for follower in description.layers if layer.name in follower.inputs]
    sides = {_removed_pixels(follower) for follower in followers}
    if len(sides) != 1 or None in sides:
        kinds = ", ".join(f"{follower.name} ({follower.kind})" for follower in followers) or "nothing"
        raise UnusableModel(
            f"{layer.name} cannot be a reflection padding: behind it comes {kinds}, "
            "where a convolution with padding 'valid' would show how much it pads."
        )
    height, width = sides.pop() or (0, 0)
    return replace(layer, config={"padding": [[height, height], [width, width]]})


def _removed_pixels(follower: LayerDescription) -> tuple[int, int] | None:
    """Return the pixels that a convolution removes at each border, height and width; None for any other layer."""
    config = follower.config
    if follower.kind not in _CONVOLUTIONS or config.get("padding") != "valid":
        return None
    (height, width), (vertical, horizontal) = config["kernel_size"], config["dilation_rate"]
    return (height - 1) * vertical // 2, (width - 1) * horizontal // 2
