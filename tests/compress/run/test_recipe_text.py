"""Recipes as TOML: what is written is what is read."""

import tomllib
from pathlib import Path

import pytest

from compress.run.recipe import FOLDER, Kinds, check_recipe, load_recipe
from compress.run.recipe_text import to_tables, to_toml
from export.config import TfliteConfig
from export.quantize.config import QuantizeConfig

ABOVE: Kinds = {"quantize": QuantizeConfig, "export": TfliteConfig}


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(FOLDER).glob("*.toml")))
def test_a_recipe_with_every_key_is_the_same_recipe(name: str) -> None:
    recipe = load_recipe(name, ABOVE)
    text = to_toml(to_tables(recipe))
    assert check_recipe(name, tomllib.loads(text), ABOVE) == recipe
    assert "learning_rate" in text


def test_any_text_is_written_as_toml_reads_it() -> None:
    tables = {"distill": {"init": 'a "b" \\ \U0001f600 \x7f\x01\n', "steps": 3, "flip": False, "width": None}}
    tables["teacher"] = {"verify": ["é=x", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]}
    read = tomllib.loads(to_toml(tables))
    assert read["distill"] == {name: value for name, value in tables["distill"].items() if value is not None}
    assert read["teacher"] == tables["teacher"]
