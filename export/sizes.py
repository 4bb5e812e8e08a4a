"""The image sizes that a file takes besides its usual one: the same weights, lowered and tried at each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress.errors import UnsupportedLayer, UsageError
from export.calibration import photos as material
from export.config import CoremlConfig, TfliteConfig
from export.graph.lower import lower
from export.graph.operations import Graph
from export.source import Source


@dataclass(frozen=True, kw_only=True)
class OtherSize:
    """What a generator is at another size, and what it makes of photos there."""

    graph: Graph
    photos: Sequence[np.ndarray]
    """Each `(height, width, 3)` uint8."""
    expected: Sequence[np.ndarray]
    """What the source makes of each, `(height, width, 3)` float32 in [-1, 1]."""

    @property
    def name(self) -> str:
        """Its height and width, as people write them."""
        return size_name(self.graph)


def size_name(graph: Graph) -> str:
    """Height and width of the images that a graph takes, as `256x256`."""
    height, width, _ = graph.input_shape
    return f"{height}x{width}"


def lower_others(config: TfliteConfig | CoremlConfig, opened: Source, usual: Graph) -> list[OtherSize]:
    """Lower a generator at each of `other_sizes_px`, and run it on photos of that size.

    Args:
        config: Its sizes, and where the photos come from.
        opened: The generator.
        usual: Its graph at the usual size.

    Raises:
        UsageError: If a size is the usual one, or does not fit the generator.
        UnusableData: If the photos cannot be used.
        UnsupportedLayer: If a layer cannot be expressed.
    """
    return [_lower_at((side, side), config, opened, usual) for side in config.other_sizes_px]


def _lower_at(size: tuple[int, int], config: TfliteConfig | CoremlConfig, opened: Source, usual: Graph) -> OtherSize:
    if size == usual.input_shape[:2]:
        raise UsageError(f"other_sizes_px = {size[0]}, which the file takes anyway. Leave it out.")
    resized = opened.resized(size)
    photos = material.draw_parity_photos(config, opened, size)
    return OtherSize(
        graph=lower(resized.model, input_shape=(*size, 3)),
        photos=photos,
        expected=[resized.translate(photo) for photo in photos],
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
