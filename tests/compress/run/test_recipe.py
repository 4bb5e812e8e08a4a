"""Recipes: found by name or path, checked to the last key."""

from pathlib import Path

import pytest

from compress.errors import UsageError
from compress.run import recipe


@pytest.mark.parametrize("path", sorted(recipe.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_packaged_recipe_is_valid_and_opens_with_its_command(path: Path) -> None:
    assert recipe.load_recipe(path.stem).distill.steps > 0
    assert path.read_text(encoding="utf-8").startswith("# compress ")


@pytest.mark.parametrize(
    ("text", "named"),
    [("[distil]\nsteps = 1", "distil"), ("steps = 1", "steps"), ("[measure]\nthreads = 'two'", "two"), ("[[", "TOML")],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=named):
        recipe.load_recipe(str(path))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="demo"):
        recipe.load_recipe("nosuch")
