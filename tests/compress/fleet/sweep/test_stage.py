"""`compress sweep` as a user runs it, as far as it comes without Ray."""

import json
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compress import cli, console
from compress.fleet import cluster
from compress.fleet.budget.check import Verdict
from compress.fleet.sweep import driver, stage

CommandLine = Callable[..., Any]
WIDTHS = '[space]\n"distill.width" = [8, 31]\n'


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run `compress sweep` in this process over `tmp_path / "out"`; every student takes 100 bytes."""

    def check(trials: Sequence[Any], budgets: Any, sweep_dir: Path, *, base: str) -> list[Verdict]:
        is_over = budgets.max_bytes is not None and budgets.max_bytes < 100
        return [Verdict(size_bytes=100, over="100 bytes" if is_over else None) for _ in trials]

    monkeypatch.setattr(driver, "check_all", check)

    def run(file: Path, *flags: object) -> int:
        return console.run(cli.app, ["sweep", str(file), "--out", str(tmp_path / "out"), *map(str, flags)])

    return run


def test_without_the_extra_the_command_names_it(
    sweep: Callable[..., int], write_sweep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    assert sweep(write_sweep(WIDTHS)) == 2
    assert "compress sweep needs more packages (ray, optuna, fsspec): " in capsys.readouterr().err


def test_a_wrong_file_is_a_usage_error(
    sweep: Callable[..., int], write_sweep: Callable[..., Path], capsys: Any
) -> None:
    assert sweep(write_sweep('[space]\n"distill.widht" = [8]\n')) == 2
    assert "unknown key 'widht'" in capsys.readouterr().err
    assert sweep(write_sweep(WIDTHS), "--workers", 1, "--cluster", "here:1") == 2


def test_a_place_among_the_photos_is_refused(
    write_sweep: Callable[..., Path], photo_folders: Path, capsys: Any
) -> None:
    place = photo_folders / "trainA" / "sweep"
    assert console.run(cli.app, ["sweep", str(write_sweep(WIDTHS)), "--out", str(place)]) == 2
    assert "lies inside" in capsys.readouterr().err
    assert not place.exists()


def test_a_folder_of_something_else_is_left_alone(
    sweep: Callable[..., int], write_sweep: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert sweep(write_sweep(WIDTHS)) == 2
    assert "holds something else than a sweep: it has no sweep.id" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_sweep_of_which_nothing_was_trained_says_what_became_of_it(
    sweep: Callable[..., int], write_sweep: Callable[..., Path], tmp_path: Path, capsys: Any
) -> None:
    assert sweep(write_sweep(WIDTHS + "[budget]\nmax_bytes = 50\n")) == 3
    said = capsys.readouterr().err
    assert "none of 2 trials was trained to its end (1 over budget, 1 failed)" in said.replace("\n", " ")
    rows = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [(row["settings"]["distill.width"], row["status"]) for row in rows] == [(8, "over_budget"), (31, "failed")]
    assert (tmp_path / "out" / "sweep.toml").read_bytes() == (tmp_path / "sweep.toml").read_bytes()


def test_ray_gets_as_many_cores_as_its_workers_need(
    sweep: Callable[..., int], write_sweep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    @contextmanager
    def connected(**how: Any) -> Any:
        asked.append(how)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(stage, "connected", connected)
    file = write_sweep(WIDTHS + "[resources]\ncpus = 2\n")
    assert sweep(file, "--workers", 3) == 130
    assert sweep(file) == 130
    assert sweep(file, "--cluster", "head:6379") == 130
    assert asked == [
        {"workers": 6, "address": None}, {"workers": None, "address": None}, {"workers": None, "address": "head:6379"}
    ]  # fmt: skip
