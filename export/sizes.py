"""The image sizes that a file takes besides its usual one: the same weights, lowered and checked at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress.errors import UnsupportedLayer, UsageError
from export.calibration.photos import draw_parity_photos
from export.config import CoremlConfig, TfliteConfig
from export.graph.operations import Graph
from export.source import SourceGenerator


@dataclass(frozen=True, kw_only=True)
class OtherSize:
    """A generator at another size than its usual one, with photos and its pictures of them."""

    graph: Graph
    photos: Sequence[np.ndarray]
    """Each `(height, width, 3)` uint8."""
    expected: Sequence[np.ndarray]
    """The source's picture of each, `(height, width, 3)` float32 in [-1, 1]."""

    @property
    def name(self) -> str:
        """Its height and width as text, see `size_name`."""
        return size_name(self.graph)


def size_name(graph: Graph) -> str:
    """Return height and width of the images that a graph takes, as `256x256`."""
    height, width, _ = graph.input_shape
    return f"{height}x{width}"


def lower_other_sizes(config: TfliteConfig | CoremlConfig, generator: SourceGenerator, usual: Graph) -> list[OtherSize]:
    """Lower a generator at each of `other_sizes_px`, and run it on photos of that size.

    Args:
        config: The sizes and the photos.
        generator: The generator to lower.
        usual: Its graph at the usual size.

    Raises:
        UsageError: If a size is the usual one, or does not fit the generator.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
    """
    return [_lower_at((side, side), config, generator, usual) for side in config.other_sizes_px]


def _lower_at(
    size: tuple[int, int], config: TfliteConfig | CoremlConfig, generator: SourceGenerator, usual: Graph
) -> OtherSize:
    if size == usual.input_shape[:2]:
        raise UsageError(f"other_sizes_px = {size[0]}, which the file takes anyway. Leave it out.")
    resized = generator.at_size(size)
    photos = draw_parity_photos(config, generator, size)
    return OtherSize(
        graph=resized.lower(size),
        photos=photos,
        expected=resized.translate_each(photos),
    )


def require_same_operations(usual: Graph, others: Sequence[OtherSize]) -> None:
    """Refuse a generator that is not the same operations at all sizes, where a target has one program for all.

    Raises:
        UnsupportedLayer: If an operation differs; the message names it.
    """
    for other in others:
        for ours, theirs in zip(usual.operations, other.graph.operations, strict=False):
            if (type(ours), ours.inputs, ours.output) != (type(theirs), theirs.inputs, theirs.output):
                raise UnsupportedLayer(
                    f"layer {theirs.output} ({type(theirs).__name__}) at {other.name} stands where {ours.output} "
                    f"({type(ours).__name__}) does at {size_name(usual)}; one program cannot be both. Choose sizes "
                    "that divide alike, such as multiples of 32, or export one file for each."
                )
