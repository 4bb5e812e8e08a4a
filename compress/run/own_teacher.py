"""A run without a recipe: what a teacher's file and a folder of photos say by themselves, beneath what is set."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress import teachers
from compress.data.config import Domain, SingleDomain, opposite
from compress.data.folders import is_single_folder
from compress.distill.change import with_recipe
from compress.distill.config import DistillConfig
from compress.errors import UsageError
from compress.run.recipe import Kinds, Recipe, check_recipe, with_settings
from compress.run.suited import suit_config
from compress.teachers.reading.config import ReadingConfig, merge_readings

NAME = "compress run without a recipe"
DEFAULT_SIDE_PX = 256
"""Side of the images of a teacher that takes any size: what most generators are trained at."""

_log = logging.getLogger(__name__)


def suit_recipe(
    teacher: Path, data: Path, out: Path, above: Kinds, settings: Sequence[str], reading: ReadingConfig
) -> Recipe:
    """Return the recipe for a teacher of the user's own.

    Its images' size is the teacher's, its domain the one that there are photos of, its losses those that suit what the
    teacher changes, and the phone gets an int8 file that takes and makes camera bytes.

    Args:
        teacher: A generator file that `compress.teachers.load` reads.
        data: A data set's folder, or a folder of photos.
        out: The run's folder.
        above: Configuration classes of [quantize] and [export].
        settings: See `with_settings`; they win.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If a setting is wrong, or the teacher's images are not square.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If there are no photos.
    """
    set_tables = with_settings({}, settings)
    asked = check_recipe(NAME, set_tables, above)
    reading = merge_readings(asked.reading, reading)
    domain = _find_domain(data)
    side = _find_side(teacher, reading)
    own: dict[str, Any] = {"image_size_px": side, "domain": domain, **set_tables.get("distill", {})}
    config = check_recipe(NAME, {"distill": own}, above).require_distill()
    config = suit_config(config, own, teacher, data, out / "student", overwrite=True, reading=reading)
    tables = {**set_tables, "distill": own}
    tables["export"] = {"precision": "int8", **_uint8(set_tables.get("export", {})), **set_tables.get("export", {})}
    tables["measure"] = {"domain": domain, "reference": _find_reference(data, domain), **set_tables.get("measure", {})}
    checked = check_recipe(NAME, tables, above)
    _log.info("%dx%d pixels, domain %s, compared with %s images", side, side, domain, checked.measure.reference)
    return replace(checked, distill=config)


def fit_to_teacher(recipe: Recipe, teacher: Path, settings: Sequence[str], reading: ReadingConfig) -> Recipe:
    """Return a recipe for images of the size that a teacher takes, where it takes one and nothing else was set.

    Args:
        recipe: Of any size.
        teacher: A generator file that `compress.teachers.load` reads.
        settings: What was set of the recipe, see `with_settings`.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If the teacher's images are not square.
        UnusableModel: If the teacher cannot be read.
    """
    config = recipe.distill
    if config is None or "image_size_px" in with_settings({}, settings).get("distill", {}):
        return recipe
    side = _find_side(teacher, merge_readings(recipe.reading, reading), otherwise=config.image_size_px)
    if side == config.image_size_px:
        return recipe
    _log.info("%s takes %dx%d images, and so will the student", Path(teacher.name), side, side)
    fitted = with_recipe(DistillConfig(image_size_px=side), config, {"image_size_px"})
    return replace(recipe, distill=fitted)


def _uint8(export: Any) -> dict[str, str]:
    """Return what an int8 file takes and makes where nothing is said: bytes, as cameras give them."""
    return {"io_type": "uint8"} if export.get("precision", "int8") == "int8" else {}


def _find_side(teacher: Path, reading: ReadingConfig, *, otherwise: int = DEFAULT_SIDE_PX) -> int:
    height, width = teachers.describe(teacher, reading=reading).input_shape[:2]
    if height != width:
        raise UsageError(f"{teacher} takes {height}x{width} images; students are made for square ones.")
    return height or otherwise


def _find_domain(data: Path) -> Domain:
    """Return the domain that there are training photos of: A unless there are those of B alone."""
    if is_single_folder(data) or (data / "trainA").is_dir() or not (data / "trainB").is_dir():
        return "A"
    return "B"


def _find_reference(data: Path, domain: Domain) -> str:
    """Return what students are compared with: real photos of the other domain, where there are any."""
    target: SingleDomain | None = opposite(domain)
    return "real" if target is not None and (data / f"test{target}").is_dir() else "teacher"
