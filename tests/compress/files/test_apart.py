"""The guard that no input is ever an output, over every command there is."""

import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from cyclopts import App

from compress import cli
from compress.errors import UsageError
from compress.files.apart import CACHES, OUTPUTS, require_apart, split_paths


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("trainA", "testA"):
        (tmp_path / "data" / name).mkdir(parents=True)
    return tmp_path / "data"


@pytest.mark.parametrize("place", ["data", ".", "data/trainA", "data/trainA/out", "data/../data", "link", "link/testA"])
def test_a_place_that_would_cost_a_part_of_the_data_is_refused(data: Path, place: str) -> None:
    (data.parent / "link").symlink_to(data)
    with pytest.raises(UsageError, match=r"(is the same as|holds|lies inside) .*data"):
        require_apart([data.parent / place], [data])


@pytest.mark.parametrize("place", ["out", "data/student", "data2", "data.training"])
def test_a_place_beside_the_data_is_not(data: Path, place: str) -> None:
    require_apart([data.parent / place], [data, data / "missing"])


def test_a_folder_of_another_layout_may_hold_nothing_that_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lies inside"):
        require_apart([tmp_path / "photos" / "out"], [_folder(tmp_path / "photos")])


def test_a_hard_link_to_an_input_is_the_input(tmp_path: Path) -> None:
    teacher = tmp_path / "g.h5"
    teacher.write_bytes(b"weights")
    os.link(teacher, tmp_path / "other.h5")
    with pytest.raises(UsageError, match=r"other\.h5 is the same as"):
        require_apart([tmp_path / "other.h5"], [teacher])


def test_paths_are_sorted_by_what_a_command_does_with_them() -> None:
    line = "eval report --inputs i --teacher t --column=a=c --scores=s=j.json --manifest=m=n --out o.html"
    _, bound, _ = cli.app.parse_args(line.split())
    outputs, caches, inputs = split_paths(bound.arguments)
    assert (outputs, caches) == ([Path("o.html")], [])
    assert {str(path) for path in inputs} == {"i", "t", "c", "j.json", "n"}
    _, bound, _ = cli.app.parse_args(["eval", "score", "--real", "r", "--fake", "f", "--cache", "k", "--out", "o.json"])
    assert split_paths(bound.arguments) == ([Path("o.json")], [Path("k")], [Path("r"), Path("f")])


def test_a_student_to_start_from_and_a_recipe_are_inputs() -> None:
    line = "distill --teacher t.h5 --data d --out o --init s.keras"
    _, bound, _ = cli.app.parse_args(line.split())
    assert Path("s.keras") in split_paths(bound.arguments)[2]
    _, bound, _ = cli.app.parse_args(["run", "r.toml", "--data", "d", "--out", "o"])
    assert Path("r.toml") in split_paths(bound.arguments)[2]


def _commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    for name in app:
        if not name.startswith("-"):
            below = app[name]
            yield from _commands(below, (*path, name))
            if below.default_command is not None:
                yield " ".join((*path, name)), below


def _path_names(annotation: Any, name: str) -> Iterator[str]:
    if annotation is Path:
        yield name
    elif is_dataclass(annotation):
        hints = get_type_hints(annotation)
        for item in fields(annotation):
            yield from _path_names(hints[item.name], item.name)
    for part in get_args(annotation):
        yield from _path_names(part, name)


def test_every_path_of_every_command_is_known_as_output_cache_or_input() -> None:
    """A new flag that names what is written has to be told to the guard, and this is where one is told so."""
    inputs = {
        "attributes", "baseline", "bench", "benchmark_binary", "browser", "candidate", "check", "column", "control",
        "data", "fake", "file", "film", "flicker", "image", "images", "inception_weights", "inputs", "like", "manifest",
        "measurements", "model", "models", "page", "pairs", "peer", "photo", "photos", "pictures", "real", "results",
        "scores", "source", "student", "students", "teacher", "training", "truth",
    }  # fmt: skip
    found: set[str] = set()
    for _, command in _commands(cli.app):
        hints = get_type_hints(command.default_command)
        found |= {name for key, hint in hints.items() for name in _path_names(hint, key)}
    assert found - OUTPUTS - CACHES <= inputs
    assert {"out", "data", "teacher", "cache"} <= found


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
