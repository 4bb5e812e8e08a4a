"""What a teacher changes decides the recipe of its students."""

from pathlib import Path

import numpy as np
import pytest

from compress.distill.change import Change, choose_recipe, measure_change, with_recipe
from compress.distill.config import DistillConfig
from compress.teachers import build

RANDOM = np.random.default_rng(0)


def _photos(count: int = 4) -> np.ndarray:
    """Smooth images with some edges."""
    ramps = np.linspace(40, 160, 32)[None, None, :, None] + np.zeros((count, 32, 32, 3))
    ramps[:, 8:20, 8:20] += RANDOM.integers(-30, 60, (count, 1, 1, 3))
    return ramps.astype(np.uint8)


def test_a_teacher_that_draws_stripes_everywhere_redraws_textures() -> None:
    photos = _photos()
    stripes = np.where(np.arange(32) % 8 < 4, 0, 90)[None, :, None, None]
    change = measure_change(photos, np.clip(photos + stripes, 0, 255).astype(np.uint8))
    assert change.unchanged == pytest.approx(0.5, abs=0.01)
    change = measure_change(photos, np.clip(photos + stripes - 20, 0, 255).astype(np.uint8))
    assert change.unchanged == 0
    assert change.explained < 0.2
    assert change.recipe == "texture"


def test_a_teacher_that_changes_colours_keeps_the_edges_and_is_followed_closely() -> None:
    photos = _photos()
    change = measure_change(photos, (photos * 0.7 + 60).astype(np.uint8))
    assert change.explained > 0.9
    assert change.recipe == "faithful"


def test_a_teacher_that_changes_a_shape_leaves_the_rest_alone_and_is_followed_closely() -> None:
    photos = _photos()
    targets = photos.copy()
    targets[:, 2:10, 20:30] = RANDOM.integers(0, 255, (4, 8, 10, 3))
    change = measure_change(photos, targets)
    assert change.unchanged == pytest.approx(1 - 80 / 1024, abs=0.01)
    assert change.explained < 0.45
    assert change.recipe == "faithful"
    assert "92%" in str(change)


def test_a_teacher_of_one_colour_is_no_error() -> None:
    assert measure_change(_photos(), np.zeros((4, 32, 32, 3), np.uint8)) == Change(unchanged=0, explained=1)


def test_the_recipe_is_chosen_by_the_teachers_images_which_are_made_once(
    teacher_file: Path, photo_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    with caplog.at_level("INFO"):
        chosen = choose_recipe(teacher_file, photo_folders, DistillConfig(image_size_px=32))
    assert chosen in ("texture", "faithful")
    assert f"--recipe {chosen}" in caplog.text
    # The teacher is built in Keras for images that the cache lacks, and else not at all.
    monkeypatch.setattr(build, "build_generator", lambda description: pytest.fail("built"))
    assert choose_recipe(teacher_file, photo_folders, DistillConfig(image_size_px=32)) == chosen


def test_fields_come_from_the_recipe_but_for_those_that_were_given() -> None:
    recipe = DistillConfig(l1_weight=0.1, ssim_weight=0.0, perceptual_weight=2.0, crop_px=128)
    asked = DistillConfig(image_size_px=64, l1_weight=5.0, ssim_weight=0.25)
    config = with_recipe(asked, recipe, {"teacher", "image_size_px", "l1_weight"})
    assert (config.image_size_px, config.l1_weight, config.ssim_weight, config.perceptual_weight) == (64, 5.0, 0.0, 2.0)
    assert config.crop_px == 64


def test_squares_of_a_recipe_shrink_to_the_images_and_end_where_nothing_could_be_judged() -> None:
    recipe = DistillConfig(crop_px=128, discriminator_crop_px=128, adversarial_weight=1.0)
    config = with_recipe(DistillConfig(image_size_px=100), recipe, ())
    assert (config.crop_px, config.discriminator_crop_px, config.adversarial_weight) == (96, 96, 1.0)
    config = with_recipe(DistillConfig(image_size_px=24), recipe, ())
    assert (config.crop_px, config.discriminator_crop_px, config.adversarial_weight) == (None, None, 0.0)
