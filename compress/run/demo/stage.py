"""`compress demo`: all stages with nothing to bring, over avatars and a CycleGAN that was trained on them.

The teacher lies beside this file in half precision; `compress teach` made it, as the recipe tells.
"""

from pathlib import Path
from typing import Any

from compress.data.avatars import draw_avatars
from compress.data.config import AvatarsConfig
from compress.run import pipeline
from compress.run.recipe import Recipe
from compress.teachers import half_precision

RECIPE = "demo"
TEACHER_NAME = "g_m2f.h5"
PACKED_TEACHER = Path(__file__).parent / "g_m2f.float16.h5"


def run_demo(recipe: Recipe, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Draw avatars, expand the teacher, then distil, export, score, time and report; a stopped demo resumes.

    Beside `out` lies `OUT.data`: the avatars, and the teacher `g_m2f.h5` as a user would bring it.

    Args:
        recipe: The recipe `RECIPE`.
        out: The run's folder.
        overwrite: See `pipeline.run_recipe`.

    Returns:
        JSON-ready, see `pipeline.run_recipe`.

    Raises:
        UsageError: If `out` holds something else.
    """
    data = out.parent / f"{out.name}.data"
    teacher = data / TEACHER_NAME
    if not data.exists():
        draw_avatars(AvatarsConfig(image_size_px=recipe.require_distill().image_size_px), data)
    if not teacher.exists():
        half_precision.write_float32(PACKED_TEACHER, teacher)
    return pipeline.run_recipe(teacher, data, recipe, out, overwrite=overwrite)
