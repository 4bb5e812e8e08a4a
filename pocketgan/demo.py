"""Inputs of the demo: drawn avatars, and a teacher that was trained on them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compress.data.config import AvatarsConfig


def draw_avatars(out: str | PathLike[str], config: AvatarsConfig | None = None) -> dict[str, Any]:
    """Draw cartoon men and women as a CycleGAN data set, as `compress data avatars`.

    Args:
        out: The data set's folder to write: `trainA`, `trainB`, `testA`, `testB`, each PNG
            `(image_size_px, image_size_px, 3)`.
        config: How many, how large, and the seed; the defaults when not given.

    Returns:
        JSON-ready: what was drawn.

    Raises:
        UsageError: If `out` exists.

    Example:
        >>> config = pocketgan.AvatarsConfig(image_size_px=32, train_per_domain=2, test_per_domain=2)
        >>> drawn = pocketgan.draw_avatars("avatars", config)
    """
    from compress.config import check_config
    from compress.data.avatars import draw_avatars as draw_stage
    from compress.data.config import AvatarsConfig

    return draw_stage(check_config(config or AvatarsConfig(), AvatarsConfig), Path(out))


def write_demo_teacher(out: str | PathLike[str]) -> Path:
    """Write the demo's CycleGAN generator, which makes women of the avatars' men.

    Args:
        out: The `.h5` file to write, 44 MB: `(128, 128, 3)` float32 in [-1, 1] to the same.

    Returns:
        The file.

    Example:
        >>> pocketgan.write_demo_teacher("demo_teacher.h5").name
        'demo_teacher.h5'
    """
    from compress.run.demo.stage import PACKED_TEACHER
    from compress.teachers.half_precision import write_float32

    write_float32(PACKED_TEACHER, Path(out))
    return Path(out)
