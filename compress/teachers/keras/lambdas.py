"""Layers whose code is not in the file, or is and is never run: `Lambda`, and reflection paddings without amounts.

A padding is deduced from what follows: a convolution that pads nothing itself takes away `kernel - 1` pixels, and in a
generator a padding before it gives them back. Whether that makes a generator, `check` sees: additions must fit and the
output must be as large as the input.
"""

from dataclasses import replace
from typing import Any

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription, LayerDescription

UNKNOWN_PADDING: dict[str, Any] = {"padding": None}
"""The configuration of a reflection padding whose amounts are to be deduced."""
LAMBDA_PADDING: dict[str, Any] = {"padding": None, "lambda": True}
"""The same of a `Lambda`, which is one only if the user says so."""

_CONVOLUTIONS = frozenset({"Conv2D", "DepthwiseConv2D", "SeparableConv2D"})


def refuse(description: GeneratorDescription) -> None:
    """Refuse a `Lambda` by name.

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


def deduce(description: GeneratorDescription) -> GeneratorDescription:
    """Fill in the amounts of paddings that have none.

    Raises:
        UnusableModel: If no convolution without padding of its own follows one.
    """
    return replace(description, layers=tuple(_deduced(layer, description) for layer in description.layers))


def _deduced(layer: LayerDescription, description: GeneratorDescription) -> LayerDescription:
    if layer.kind != "ReflectionPadding2D" or layer.config["padding"] is not None:
        return layer
    followers = [follower for follower in description.layers if layer.name in follower.inputs]
    sides = {_side(follower) for follower in followers}
    if len(sides) != 1 or None in sides:
        kinds = ", ".join(f"{follower.name} ({follower.kind})" for follower in followers) or "nothing"
        raise UnusableModel(
            f"{layer.name} cannot be a reflection padding: behind it comes {kinds}, "
            "where a convolution with padding 'valid' would show how much it pads."
        )
    height, width = sides.pop() or (0, 0)
    return replace(layer, config={"padding": [[height, height], [width, width]]})


def _side(follower: LayerDescription) -> tuple[int, int] | None:
    """How much a convolution takes from each side, height and width; None where it is none or pads by itself."""
    config = follower.config
    if follower.kind not in _CONVOLUTIONS or config.get("padding") != "valid":
        return None
    (height, width), (vertical, horizontal) = config["kernel_size"], config["dilation_rate"]
    return (height - 1) * vertical // 2, (width - 1) * horizontal // 2
