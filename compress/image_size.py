"""Checks of the image size that a model is asked to work at against the size that it takes."""

from collections.abc import Sequence

from compress.errors import UsageError
from compress.images import Size


def require_size(
    name: str, taken: Sequence[int | None], wanted: tuple[int, int], *, asked: str | None = None, advice: str
) -> None:
    """Check that a model takes images of a size.

    Args:
        name: Name of the model, for the error.
        taken: Height and width that it takes, pixels; None where any will do.
        wanted: Height and width that it is to take.
        asked: Who asks for that, for the error: `image_size_px = 128` when None.
        advice: What to do about it.

    Raises:
        UsageError: If it takes another size.
    """
    if all(own in (None, side) for own, side in zip(taken, wanted, strict=True)):
        return
    own = "x".join("any" if side is None else str(side) for side in taken)
    raise UsageError(f"{name} takes {own} images, but {asked or _asked(wanted)}. {advice}")


def resolve_size(name: str, taken: Sequence[int | None], image_size_px: Size | None) -> tuple[int, int]:
    """Return height and width to work at: those asked for or, without, the model's own.

    Args:
        name: Name of the model, for the errors.
        taken: Height and width that it takes, pixels; None where any will do.
        image_size_px: Side of the square, or height and width; None for the model's own.

    Raises:
        UsageError: If it takes another size, or takes any and none is asked for.
    """
    if image_size_px is not None:
        wanted = (image_size_px, image_size_px) if isinstance(image_size_px, int) else image_size_px
        require_size(name, taken, wanted, advice="Leave --image-size-px out, or use a model of that size.")
        return wanted
    height, width = taken
    if height is None or width is None:
        raise UsageError(f"{name} takes images of any size. Choose one with --image-size-px, such as 256.")
    return height, width


def _asked(wanted: tuple[int, int]) -> str:
    height, width = wanted
    return f"image_size_px = {height}" if height == width else f"image_size_px is {height}x{width}"
