"""The demo: its teacher is there, of full size, and what it made is used again."""

from pathlib import Path
from typing import Any

import pytest

from compress import cli, teachers
from compress.artifact import file_fingerprint
from compress.run import pipeline
from compress.run.demo import stage
from compress.run.recipe import Recipe

LARGEST_IN_GIT = 23_000_000


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Path, Recipe, Path]]:
    """Return the arguments that the demo hands to the pipeline, which does nothing; there are 16 avatars."""
    handed: list[tuple[Path, Path, Recipe, Path]] = []

    def pretend(teacher: Path, data: Path, recipe: Recipe, out: Path, *, overwrite: bool) -> dict[str, Any]:
        handed.append((teacher, data, recipe, out))
        return {}

    def few(config: Any, out: Path) -> None:
        (out / "trainA").mkdir(parents=True)

    monkeypatch.setattr(pipeline, "run_recipe", pretend)
    monkeypatch.setattr(stage, "draw_avatars", few)
    return handed


def test_the_teacher_is_the_full_size_cyclegan_in_half_precision(runs: list[Any], tmp_path: Path) -> None:
    assert stage.PACKED_TEACHER.stat().st_size <= LARGEST_IN_GIT
    stage.run_demo(cli._load_recipe(stage.RECIPE), tmp_path / "demo")
    teacher, data, recipe, _ = runs[0]
    assert teacher == data / "g_m2f.h5"
    assert teacher.stat().st_size == pytest.approx(45_700_000, rel=0.01)
    assert sum(array.size for array in teachers.describe(teacher).weights.values()) == 11_378_179
    assert recipe.measure.reference == "real"


def test_a_second_run_uses_what_is_there(runs: list[Any], tmp_path: Path) -> None:
    recipe = cli._load_recipe(stage.RECIPE)
    stage.run_demo(recipe, tmp_path / "demo")
    teacher = runs[0][0]
    before = teacher.stat().st_mtime_ns, file_fingerprint(teacher)
    stage.run_demo(recipe, tmp_path / "demo")
    assert (teacher.stat().st_mtime_ns, file_fingerprint(teacher)) == before
