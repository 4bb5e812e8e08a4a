"""A run without a recipe: what file and photos say by themselves, and what is set above it."""

from pathlib import Path

import keras
import pytest

from compress import cli
from compress.errors import UsageError
from compress.run import own_teacher
from compress.run.recipe import FOLDER, Recipe, with_settings
from compress.run.recipe_text import format_recipe
from compress.teachers.reading.config import AS_FOUND


@pytest.fixture
def suited(teacher_file: Path, photo_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The recipe for the tiny teacher at 32 pixels, whose images suit `faithful`."""
    monkeypatch.setattr(own_teacher, "suit_config", lambda config, given, *places, **options: config)

    def call(*settings: str, data: Path = photo_folders) -> Recipe:
        return own_teacher.suit_recipe(teacher_file, data, tmp_path / "run", cli._classes_above(), settings, AS_FOUND)

    return call


def test_size_domain_and_reference_come_from_teacher_and_data(suited, photo_folders: Path) -> None:
    found = suited()
    assert (found.require_distill().image_size_px, found.require_distill().domain) == (256, "A")
    assert (found.measure.domain, found.measure.reference) == ("A", "real")
    assert found.export == {"precision": "int8", "io_type": "uint8"}
    single = suited(data=photo_folders / "trainA")
    assert (single.measure.domain, single.measure.reference) == ("A", "teacher")


def test_what_is_set_wins(suited) -> None:
    found = suited("distill.image_size_px=32", "distill.width=8", "export.precision=fp32", "teacher.residual=clip-add")
    assert (found.require_distill().image_size_px, found.require_distill().width) == (32, 8)
    assert found.export == {"precision": "fp32"}
    assert found.reading.residual == "clip-add"


@pytest.mark.parametrize("wrong", ["steps=3", "distill.steps", "distil.steps=3", "distill.=3", "distill.stepz=3"])
def test_a_wrong_setting_is_named(suited, wrong) -> None:
    with pytest.raises(UsageError, match=r"TABLE\.KEY=VALUE|unknown key 'stepz'"):
        suited(wrong)


def test_settings_are_toml_or_words() -> None:
    tables = with_settings({"distill": {"steps": 1}}, ["distill.steps=4", "export.io_type=int8", "measure.domain='B'"])
    assert tables == {"distill": {"steps": 4}, "export": {"io_type": "int8"}, "measure": {"domain": "B"}}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_a_printed_recipe_is_the_recipe(name, tmp_path: Path) -> None:
    recipe = cli._load_recipe(name)
    path = tmp_path / "mine.toml"
    path.write_text(format_recipe(recipe, cli._classes_above()))
    read = cli._load_recipe(str(path))
    assert (read.teach, read.distill, read.prune, read.quantize) == (
        recipe.teach, recipe.distill, recipe.prune, recipe.quantize,
    )  # fmt: skip
    assert (read.measure, read.reading) == (recipe.measure, recipe.reading)
    assert {key: read.export[key] for key in recipe.export} == dict(recipe.export)


def test_every_key_is_explained() -> None:
    lines = format_recipe(cli._load_recipe("demo"), cli._classes_above()).splitlines()
    keys = [number for number, line in enumerate(lines) if " = " in line or line.endswith(" =")]
    assert len(keys) > 100
    assert all(lines[number - 1].startswith("# ") for number in keys)


@pytest.mark.parametrize("command_name", ["run", "recipe"])
def test_the_help_names_the_recipes(command, command_name) -> None:
    shown = " ".join(command(command_name, "--help").stdout.replace("│", " ").split())
    assert f"({', '.join(sorted(path.stem for path in FOLDER.glob('*.toml')))})" in shown


def test_a_run_of_nothing_says_what_is_missing(command, photo_folders: Path, tmp_path: Path) -> None:
    ended = command("run", "--data", photo_folders, "--out", tmp_path / "out")
    assert ended.returncode == 2
    assert "neither --teacher nor a recipe is given" in ended.stderr


def test_a_recipe_takes_the_size_of_a_teacher_that_has_one(tmp_path: Path) -> None:
    image = keras.Input((48, 48, 3))
    painted = keras.layers.Conv2D(3, 7, padding="same", activation="tanh")(image)
    keras.Model(image, painted).save(tmp_path / "g.h5")
    texture = cli._load_recipe("texture")
    fitted = own_teacher.fit_to_teacher(texture, tmp_path / "g.h5", [], AS_FOUND)
    assert texture.require_distill().crop_px == 128
    assert (fitted.require_distill().image_size_px, fitted.require_distill().crop_px) == (48, 48)
    assert fitted.require_distill().adversarial_weight == texture.require_distill().adversarial_weight
    kept = own_teacher.fit_to_teacher(texture, tmp_path / "g.h5", ["distill.image_size_px=256"], AS_FOUND)
    assert kept is texture
