"""Damaged recipes: read as something that makes sense, or refused in words."""

import random
import time
import tomllib
from pathlib import Path

import pytest

from compress.cli import _load_recipe
from compress.errors import UsageError
from compress.run.recipe import FOLDER

SECONDS = 6
_VALUES = (
    "true",
    "-1",
    "0",
    "1e400",
    "nan",
    "inf",
    "'x'",
    "[]",
    "{}",
    "1979-05-27",
    "9" * 400,
    "[[[[1]]]]",
    '""',
    "0.5",
)


def _damage(text: str, chance: random.Random) -> bytes:
    lines = text.splitlines()
    place = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            key, separator, _ = lines[place].partition("=")
            lines[place] = f"{key}{separator} {chance.choice(_VALUES)}"
        case 1:
            del lines[place]
        case 2:
            lines.insert(chance.randrange(len(lines)), lines[place])
        case 3:
            chosen = chance.sample([line for line in lines if line and line[0] != "#"], 2)
            lines = [*lines, *chosen]
        case _:
            damaged = bytearray("\n".join(lines), "utf-8")
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            return bytes(damaged)
    return "\n".join(lines).encode()


def test_a_damaged_recipe_is_read_or_refused_in_words(tmp_path: Path) -> None:
    chance, path = random.Random(0), tmp_path / "recipe.toml"
    recipes = [recipe.read_text(encoding="utf-8") for recipe in sorted(FOLDER.glob("*.toml"))]
    ended, until = {"read": 0, "refused": 0}, time.monotonic() + SECONDS
    while time.monotonic() < until:
        damaged = _damage(chance.choice(recipes), chance)
        path.write_bytes(damaged)
        try:
            _load_recipe(str(path))
        except UsageError as error:
            said = str(error)
            ended["refused"] += 1
        # Named with what was read, since pytest shows no more than the error.
        except Exception as error:
            pytest.fail(f"{error!r} of\n{damaged!r}")
        else:
            said = str(path)
            tomllib.loads(damaged.decode())
            ended["read"] += 1
        assert str(path) in said, (said, damaged)
    assert min(ended.values()) > 20, ended
