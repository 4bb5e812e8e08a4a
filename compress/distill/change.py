"""What a teacher changes, measured on its images before training: it decides which losses draw what it draws.

A teacher that redraws the surface of things leaves edges where the photo has none, all over the image, and L1 averages
them away. One that changes shapes leaves most of the image alone, and one that changes colours keeps the photo's edges;
a student of either is held closely to its teacher's images.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from compress import images, teachers
from compress.data.folders import list_photos
from compress.distill.config import CROP_STEP_PX, SMALLEST_DISCRIMINATOR_PX, DistillConfig
from compress.distill.stage import require_teacher_size
from compress.distill.training_data.given_pairs import GivenPairs
from compress.distill.training_data.teacher_images import TeacherImages, Translate, cache_folder
from compress.teachers.description import GeneratorDescription
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

ChangeRecipe = Literal["texture", "faithful"]

PHOTOS = 24
"""Photos that are looked at, drawn by chance; the teacher's images of them are kept for the next command."""
_ALIKE = 8
"""Largest difference of a pixel's channels that counts as left alone, of 255."""
_MOST_UNCHANGED, _MOST_EXPLAINED = 0.5, 0.45
"""Bounds below which a teacher redraws textures. Measured, unchanged and explained: horse to zebra 0.07 and 0.35,
modern photo to vintage 0.17 and 0.55, cartoon men to women 0.74 and 0.35."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What a teacher does to photos."""

    unchanged: float
    """Share of the pixels that it leaves as they are, to 8 of 255."""
    explained: float
    """Share of the energy of its images' gradients that the photos' own gradients explain, times one gain an image."""

    @property
    def recipe(self) -> ChangeRecipe:
        """The recipe that suits it."""
        redraws = self.unchanged < _MOST_UNCHANGED and self.explained < _MOST_EXPLAINED
        return "texture" if redraws else "faithful"

    def __str__(self) -> str:
        return (
            f"the teacher leaves {self.unchanged:.0%} of the pixels as they are, and the photos' edges explain "
            f"{self.explained:.0%} of its images'"
        )


def measure_change(photos: np.ndarray, targets: np.ndarray) -> Change:
    """Measure what a teacher does.

    Args:
        photos: `(count, height, width, 3)` uint8.
        targets: The teacher's images of them, likewise.
    """
    differences = np.abs(targets.astype(np.int16) - photos).max(axis=-1)
    explained = [_explained(*pair) for pair in zip(photos, targets, strict=True)]
    return Change(unchanged=float(np.mean(differences <= _ALIKE)), explained=float(np.mean(explained)))


def choose_recipe(teacher: Path, data: Path, config: DistillConfig, reading: ReadingConfig = AS_FOUND) -> ChangeRecipe:
    """Choose the recipe for a teacher by its images of a few training photos, and say why.

    Args:
        teacher: A generator file that `compress.teachers.load` reads.
        data: A folder with the training photos.
        config: Says whose photos the student translates, and at which size.
        reading: What the user says about the teacher's file.

    Raises:
        UnusableModel: If the teacher cannot be read.
        UnusableData: If there are no photos.
        UsageError: If the size does not fit the teacher.
    """
    paths, size = list_photos(data, config.domain, "train"), config.image_size_px
    chosen = np.random.default_rng(0).permutation(len(paths))[:PHOTOS]
    description = teachers.describe(teacher, reading=reading)
    require_teacher_size(description, teacher, config)

    translate = TeacherImages(_built_when_called(description), cache_folder(description.fingerprint, size))
    photos = [photo for _, photo in images.read_images([paths[place] for place in sorted(chosen)], size)]
    targets = translate(photos)
    translate.finish()
    return _say_recipe(photos, targets)


def choose_recipe_for_pairs(given: GivenPairs, image_size_px: int) -> ChangeRecipe:
    """Choose the recipe for pairs by a few of them, and say why.

    Args:
        given: The pairs.
        image_size_px: Side of the square that they are cropped and resized to.

    Raises:
        UnusableData: If one of them is broken.
    """
    chosen = sorted(np.random.default_rng(0).permutation(len(given.photos))[:PHOTOS])
    halves = ([paths[place] for place in chosen] for paths in (given.photos, given.targets))
    return _say_recipe(*([images.read_image(path, image_size_px) for path in half] for half in halves))


def _say_recipe(photos: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> ChangeRecipe:
    change = measure_change(np.stack(photos), np.stack(targets))
    _log.info("%s: --recipe %s", change, change.recipe)
    return change.recipe


def with_recipe(config: DistillConfig, recipe: DistillConfig, given: Collection[str]) -> DistillConfig:
    """Return a configuration whose fields come from a recipe, but for those that were given.

    Squares of the recipe that are larger than the images become as large as they are.

    Args:
        config: What was asked for.
        recipe: From a recipe's `[distill]`.
        given: Names of the fields that were asked for; the size is always the configuration's.
    """
    fields = {item.name for item in dataclasses.fields(DistillConfig)} - {"image_size_px", *given}
    values = {name: getattr(recipe, name) for name in fields}
    largest = config.image_size_px // CROP_STEP_PX * CROP_STEP_PX
    for name in {"crop_px", "discriminator_crop_px"} & fields:
        if values[name] and values[name] > largest:
            values[name] = largest if largest >= SMALLEST_DISCRIMINATOR_PX else None
    if config.image_size_px < SMALLEST_DISCRIMINATOR_PX and "adversarial_weight" in fields:
        values["adversarial_weight"] = 0.0
    return dataclasses.replace(config, **values)


def _built_when_called(description: GeneratorDescription) -> Translate:
    """Return a teacher as a function of photos, for whose images Keras is loaded where the cache lacks one."""

    @cache
    def build() -> Translate:
        from compress.distill.training_data.teacher_precision import translator
        from compress.teachers.build import build_generator

        return translator(build_generator(description))

    return lambda photos: build()(photos)


def _explained(photo: np.ndarray, target: np.ndarray) -> float:
    """Return the share of a target's gradient energy that a photo's gradients explain; 1 for a target of one colour."""
    one, other = _gradients(photo), _gradients(target)
    energies = float(one @ one) * float(other @ other)
    return float(one @ other) ** 2 / energies if energies else 1.0


def _gradients(image: np.ndarray) -> np.ndarray:
    brightness = image.astype(np.float32).mean(axis=-1)
    return np.concatenate([np.diff(brightness, axis=axis).ravel() for axis in (0, 1)])
