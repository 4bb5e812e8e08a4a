"""A student's configuration suited to its teacher: the recipe that the teacher's images choose, beneath the flags."""

import logging
from collections.abc import Collection
from dataclasses import fields, replace
from pathlib import Path

from compress import images, teachers
from compress.artifact import Artifact
from compress.config import from_mapping
from compress.distill.change import choose_recipe, choose_recipe_for_pairs, with_recipe
from compress.distill.config import DistillConfig, LossConfig
from compress.distill.stage import distill, distill_pairs
from compress.distill.training_data.given_pairs import list_given_pairs
from compress.errors import UsageError
from compress.files.training_folder import refuse_existing_output
from compress.run.recipe import read_recipe
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

_log = logging.getLogger(__name__)


def distill_suited(
    config: DistillConfig,
    given: Collection[str] | None,
    teacher: Path,
    data: Path,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> Artifact:
    """Train a student as `distill` does, with what `suit_config` fills in where `given` is not None."""
    if given is not None:
        config = suit_config(config, given, teacher, data, out, overwrite=overwrite, reading=reading)
    return distill(teacher, data, config, out, overwrite=overwrite, reading=reading)


def distill_pairs_suited(
    config: DistillConfig, given: Collection[str] | None, pairs: Path, out: Path, *, overwrite: bool = False
) -> Artifact:
    """Train a student as `distill_pairs` does, with what `suit_config_to_pairs` fills in where `given` is not None."""
    if given is not None:
        config = suit_config_to_pairs(config, given, pairs, out, overwrite=overwrite)
    return distill_pairs(pairs, config, out, overwrite=overwrite)


def suit_config(
    config: DistillConfig,
    given: Collection[str],
    teacher: Path,
    data: Path,
    out: Path,
    *,
    overwrite: bool = False,
    reading: ReadingConfig = AS_FOUND,
) -> DistillConfig:
    """Fill what was not asked for from the recipe that suits what a teacher changes, at the teacher's own size.

    Args:
        config: What was asked for.
        given: Names of its fields that were asked for; see `with_recipe`.
        teacher: A generator file that `compress.teachers.load` reads.
        data: A folder with the training photos.
        out: Where the student will be written: asked about before the teacher is read.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file.

    Raises:
        UsageError: If `out` exists, or the size does not fit the teacher.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If there are no photos.
    """
    refuse_existing_output(out, overwrite=overwrite)
    if {item.name for item in fields(LossConfig)} <= set(given):
        # A run's stage says all of it: there is nothing left to choose.
        return config
    if "image_size_px" not in given:
        config = _at_teachers_size(config, teacher, reading)
    return _with_named(config, choose_recipe(teacher, data, config, reading), given)


def suit_config_to_pairs(
    config: DistillConfig, given: Collection[str], pairs: Path, out: Path, *, overwrite: bool = False
) -> DistillConfig:
    """Fill what was not asked for from the recipe that suits what pairs change, at the targets' own size.

    Args:
        config: What was asked for.
        given: Names of its fields that were asked for; see `with_recipe`.
        pairs: A folder that holds `inputs` and `targets`.
        out: Where the student will be written: asked about before the pairs are read.
        overwrite: Whether `out` may exist.

    Raises:
        UsageError: If `out` exists.
        UnusableData: If pairs are missing, or one of those that are looked at is broken.
    """
    refuse_existing_output(out, overwrite=overwrite)
    listed = list_given_pairs(pairs)
    if "image_size_px" not in given:
        height, width = images.read_image(listed.targets[0]).shape[:2]
        if height != width:
            raise UsageError(f"{listed.targets[0]} is {height}x{width} pixels, no square. Pass --image-size-px.")
        config = replace(config, image_size_px=height)
    return _with_named(config, choose_recipe_for_pairs(listed, config.image_size_px), given)


def _with_named(config: DistillConfig, name: str, given: Collection[str]) -> DistillConfig:
    recipe = from_mapping(DistillConfig, read_recipe(name)["distill"], origin=f"{name} [distill]")
    return with_recipe(config, recipe, given)


def _at_teachers_size(config: DistillConfig, teacher: Path, reading: ReadingConfig) -> DistillConfig:
    """Return a configuration for images of the teacher's own size; as it is where the teacher takes any."""
    height, width = teachers.describe(teacher, reading=reading).input_shape[:2]
    if height is None or height != width or height == config.image_size_px:
        return config
    _log.info("%s takes %dx%d images, and so will the student", Path(teacher.name), height, width)
    return replace(config, image_size_px=height)
