"""Sizes of image that a generator keeps, by the strides of its layers: found without running anything."""

from collections.abc import Iterator

from compress.errors import UnusableModel, UsageError
from compress.image_size import require_size
from compress.teachers.check import layer_shapes
from compress.teachers.description import GeneratorDescription

_FARTHEST_PX = 512
"""How far from the side that was asked for another is looked for, pixels."""


def require_keeps_size(
    description: GeneratorDescription, name: str, size: tuple[int, int], *, asked: str | None = None, advice: str
) -> None:
    """Check that a generator makes pictures of the size of its photos.

    Args:
        description: The generator.
        name: Its name, for the error.
        size: Height and width, pixels.
        asked: Who asks for that, see `require_size`.
        advice: What to do where it takes another, fixed size.

    Raises:
        UsageError: If it takes another size, or its layers make another one of it; with the nearest that they keep.
    """
    require_size(name, description.input_shape[:2], size, asked=asked, advice=advice)
    problem = find_problem(description, size)
    if problem is None:
        return
    sides = sorted(_nearest_sides(description, max(size)))
    nearest = f"the nearest that it keeps: {' and '.join(map(str, sides))}" if sides else "it keeps none near it"
    raise UsageError(
        f"{name} cannot keep {size[0]}x{size[1]} pixels: {problem}. Pass another --image-size-px, {nearest}."
    )


def find_problem(description: GeneratorDescription, size: tuple[int, int]) -> str | None:
    """Return what happens to an image of a height and width, in words; None where it keeps it."""
    try:
        height, width, _ = layer_shapes(description, size)[description.output]
    except UnusableModel as error:
        return str(error).rstrip(".")
    return None if (height, width) == size else f"it makes {height}x{width} of them"


def _nearest_sides(description: GeneratorDescription, side: int) -> Iterator[int]:
    """Yield the nearest side below and the nearest above that a generator keeps."""
    below, above = range(side - 1, max(0, side - _FARTHEST_PX), -1), range(side + 1, side + _FARTHEST_PX)
    for candidates in (below, above):
        found = next((one for one in candidates if find_problem(description, (one, one)) is None), None)
        if found is not None:
            yield found
