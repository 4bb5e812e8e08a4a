"""Which images of a batch get an occluder, and its pasting: a pure function of the seed, the step and the photo."""

from collections.abc import Iterable, Sequence

import numpy as np

from compress.distill.training_data.occluders.canvas import Canvas, draw_face_place
from compress.distill.training_data.occluders.shapes import SHAPES
from compress.faces.template import AlignmentTemplate

OCCLUDED_SHARE = 0.5
"""Share of the images of a training that an occluder is pasted over; the others stay clean."""


def draw_occluder(random: np.random.Generator, size_px: int, alignment: AlignmentTemplate | None) -> np.ndarray:
    """Draw one occluder.

    Args:
        random: Chooses what is drawn, where and how.
        size_px: Side of the image.
        alignment: Where faces lie in it; None where nobody knows.

    Returns:
        `(size_px, size_px, 4)` uint8: colours, not multiplied by the opacity, and the opacity.
    """
    canvas = Canvas(size_px, draw_face_place(random, alignment))
    SHAPES[random.integers(len(SHAPES))](canvas, random)
    return canvas.layer()


def draw_occluders(
    seeds: Iterable[tuple[int, ...]], size_px: int, alignment: AlignmentTemplate | None
) -> list[np.ndarray | None]:
    """Draw an occluder, or none, for each image of a batch, see `draw_occluder`.

    Args:
        seeds: Of each image: numbers that tell its place in the training from all others.
        size_px: Side of the images.
        alignment: See `draw_occluder`.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    return [
        draw_occluder(random, size_px, alignment) if random.random() < OCCLUDED_SHARE else None for random in generators
    ]


def paste(image: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Paste an occluder over an image.

    Args:
        image: `(height, width, 3)` uint8.
        layer: From `draw_occluder`, of the same size.

    Returns:
        A new array of the image's shape, uint8, rounded half up.
    """
    opacity = layer[..., 3:].astype(np.uint32)
    blended = layer[..., :3] * opacity + image * (255 - opacity)
    return ((blended + 127) // 255).astype(np.uint8)


def paste_each(batch: np.ndarray, layers: Sequence[np.ndarray | None]) -> np.ndarray:
    """Paste over each image of a batch what belongs to it.

    Args:
        batch: `(batch, height, width, 3)` uint8; left as it is.
        layers: From `draw_occluders`, as many; or none at all.
    """
    if not layers:
        return batch
    pairs = zip(batch, layers, strict=True)
    return np.stack([image if layer is None else paste(image, layer) for image, layer in pairs])
