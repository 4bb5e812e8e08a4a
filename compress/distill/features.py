"""Features of a generator: its own encoder serves as the perceptual net, so no outside network is needed.

Layers are found by what they do to the resolution, not by their names, so any generator that `compress.teachers` reads
will do if it scales images down: CycleGAN's ResNet and its relatives, a U-Net, a student.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

from compress.distill.perceptual import as_list
from compress.errors import UnusableModel
from compress.models.io import clone

Depth = Literal["encoder", "trunk"]

_ACTIVATIONS = (layers.ReLU, layers.LeakyReLU, layers.PReLU)


@dataclass(frozen=True)
class Taps:
    """Layers of a generator whose activations the losses compare."""

    encoder: dict[int, str]
    """Last activation at each height on the way down, by height in pixels, largest first."""
    trunk: tuple[str, ...]
    """Middle and last residual block at the lowest resolution; empty where there is none."""


def find_taps(generator: keras.Model, image_size_px: int, *, fewest_resolutions: int = 2) -> Taps:
    """Find the taps of a generator.

    Args:
        generator: A functional image-to-image model.
        image_size_px: Height and width of the images that it will see.
        fewest_resolutions: Fewest resolutions with activations: 2 for a perceptual net, which compares coarse and fine;
            1 for a generator that is only compared with another.

    Raises:
        UnusableModel: If the generator has activations at fewer resolutions.
    """
    # A pooled context has activations too, but one pixel is no image.
    heights = {name: height for name, (height, width) in _sizes(generator, image_size_px).items() if height * width > 1}
    active = [layer.name for layer in generator.layers if layer.name in heights and _is_activation(layer)]
    lowest = min((heights[name] for name in active), default=0)
    encoder: dict[int, str] = {}
    for name in active:
        encoder[heights[name]] = name
        if heights[name] == lowest:
            break
    if len(encoder) < fewest_resolutions:
        raise UnusableModel(
            f"the generator has activations at {len(encoder)} resolution(s) on its way down, expected at least "
            f"{fewest_resolutions}, as a ResNet generator or a U-Net has.\nGive it no weight in losses that look "
            "through it: gram_weight, feature_weight, channel_weight, hint_weight = 0."
        )
    sums = [layer.name for layer in generator.layers if isinstance(layer, layers.Add)]
    blocks = [name for name in sums if heights.get(name) == lowest]
    return Taps(encoder, (blocks[(len(blocks) - 1) // 2], blocks[-1]) if blocks else ())


def match_taps(student: Taps, teacher: Taps, depth: Depth) -> tuple[list[str], list[str]]:
    """Match the layers of a student with those of its teacher: at equal resolutions, in equal order.

    Args:
        student: Taps of the student.
        teacher: Taps of the teacher.
        depth: `trunk` to match the residual blocks, too.

    Raises:
        UnusableModel: If they share no resolution, or residual blocks are wanted and the two have none at the same one.
    """
    heights = [height for height in teacher.encoder if height in student.encoder]
    pairs = [(student.encoder[height], teacher.encoder[height]) for height in heights]
    if not pairs:
        raise UnusableModel(
            f"the student works at heights of {list(student.encoder)} pixels and its teacher at "
            f"{list(teacher.encoder)}, expected one in common. Pass --hint-weight 0."
        )
    if depth == "trunk":
        if not (student.trunk and teacher.trunk) or min(student.encoder) != min(teacher.encoder):
            raise UnusableModel(
                f"{len(student.trunk)} residual blocks of the student at a height of {min(student.encoder)} pixels and "
                f"{len(teacher.trunk)} of its teacher at {min(teacher.encoder)}, expected both at the same height. "
                "Pass --hint-depth encoder."
            )
        pairs += zip(student.trunk, teacher.trunk, strict=True)
    return [one for one, _ in pairs], [other for _, other in pairs]


class FrozenFeatures:
    """Frozen copy of a part of a generator that turns images into features.

    It computes in the dtype policy that is set when it is created. It is no Keras layer on purpose: a model that holds
    it neither trains it nor writes it into its checkpoints.

    Args:
        generator: A functional image-to-image model.
        names: Names of the layers whose outputs are the features.
    """

    def __init__(self, generator: keras.Model, names: Sequence[str]) -> None:
        self._copy = clone(expose_features(generator, names))
        self._copy.trainable = False
        self.widths = [output.shape[-1] for output in self._copy.outputs]
        """Channels of each feature."""

    def __call__(self, images: Any) -> list[Any]:
        """Return each layer's features, `(batch, height, width, channels)`, of images `(batch, height, width, 3)`."""
        return as_list(self._copy(images, training=False))


def expose_features(generator: keras.Model, names: Sequence[str], *, generated: bool = False) -> keras.Model:
    """Return a model of the same layers and weights that also outputs layers' activations.

    Args:
        generator: A functional image-to-image model.
        names: Names of the layers.
        generated: Whether the generated image is the first output.
    """
    features = [generator.get_layer(name).output for name in names]
    return keras.Model(generator.inputs[0], [*generator.outputs, *features] if generated else features)


def _sizes(generator: keras.Model, image_size_px: int) -> dict[str, tuple[int, int]]:
    """Return height and width of each layer's output at a size, since most teachers leave their size open."""
    names = [layer.name for layer in generator.layers if len(layer.output.shape) == 4]
    image = keras.KerasTensor((1, image_size_px, image_size_px, 3))
    outputs = as_list(expose_features(generator, names).compute_output_spec(image))
    return {name: (output.shape[1], output.shape[2]) for name, output in zip(names, outputs, strict=True)}


def _is_activation(layer: keras.layers.Layer) -> bool:
    linear = keras.activations.linear
    return isinstance(layer, _ACTIVATIONS) or getattr(layer, "activation", linear) not in (linear, None)
