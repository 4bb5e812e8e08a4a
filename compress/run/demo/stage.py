"""`compress demo`: the whole way with nothing to bring, over avatars and a CycleGAN that was trained on them.

The teacher lies beside this file in half precision; `compress teach` made it, as the recipe tells.
"""

from pathlib import Path
from typing import Any

from compress.data.avatars import draw_avatars
from compress.data.config import AvatarsConfig
from compress.run import pipeline, recipe
from compress.teachers import half_precision

RECIPE = "demo"
TEACHER_NAME = "g_m2f.h5"
PACKED_TEACHER = Path(__file__).parent / "g_m2f.float16.h5"


def run_demo(out: Path) -> dict[str, Any]:
    """Draw avatars, expand the teacher, then distil, export, score, time and report; goes on where it was stopped.

    Beside `out` lies `OUT.data`: the avatars, and the teacher `g_m2f.h5` as a user would bring it.

    Returns:
        As `pipeline.run`.

    Raises:
        UsageError: If `out` holds something else.
    """
    chosen = recipe.load_recipe(RECIPE)
    data = out.parent / f"{out.name}.data"
    teacher = data / TEACHER_NAME
    if not data.exists():
        draw_avatars(AvatarsConfig(image_size_px=chosen.distill.image_size_px), data)
    if not teacher.exists():
        half_precision.expand(PACKED_TEACHER, teacher)
    return pipeline.run_recipe(teacher, data, chosen, out)
