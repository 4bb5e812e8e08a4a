"""SWEEP.toml: checked to the last key before anything starts."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from compress.cli import _classes_above
from compress.errors import UsageError
from compress.fleet.sweep.space import Axis, Range
from compress.fleet.sweep.spec import HalvingConfig, ResourcesConfig, SearchConfig, read_spec

WIDTHS = '[space]\n"distill.width" = [8, 16]\n'


def test_all_that_it_says_is_read(write_sweep: Callable[..., Path], photo_folders: Path) -> None:
    spec = read_spec(
        write_sweep(
            '[search]\nmethod = "random"\ntrials = 5\nseed = 3\n'
            '[space]\n"distill.width" = [8, 16]\ndistill.learning_rate = {low = 1e-4, high = 1e-2, log = true}\n'
            "[budget]\nmax_bytes = 90_000\n[halving]\nfirst_step = 10\n[resources]\ncpus = 2\ngpus = 0.5\n"
        ),
        _classes_above(),
    )
    assert spec.data == photo_folders
    assert spec.axes == (
        Axis("distill.width", (8, 16)),
        Axis("distill.learning_rate", Range(low=1e-4, high=1e-2, log=True)),
    )
    assert spec.search == SearchConfig(method="random", trials=5, seed=3)
    assert spec.budgets.max_bytes == 90_000
    assert spec.halving == HalvingConfig(first_step=10, reduction=3)
    assert spec.resources == ResourcesConfig(cpus=2, gpus=0.5)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ("[space]\n", r"varies nothing"),
        ('[space]\n"distill.widht" = [8]\n', r"unknown key 'widht'; expected one of .*width"),
        ('[space]\n"distill.width" = ["8"]\n', r"width = '8', expected int"),
        ('[space]\n"distill.width" = 8\n', r"distill\.width = 8, expected a list of values, or a range"),
        ('[space]\n"distill.width" = []\n', r"distill\.width = \[\], expected a list"),
        ('[space]\n"distill.width" = [8, 8]\n', r"holds a value twice"),
        ('[space]\n"distill.width" = {low = 8}\n', r"expected a list of values, or a range"),
        ('[space]\n"distill.width" = {low = 8, high = 16, steps = 2}\n', r"unknown key 'steps'; expected one of low"),
        ('[space]\n"distill.width" = {low = 16, high = 8}\n', r"expected low below high"),
        ('[space]\n"distill.width" = {low = 8, high = 16, step = 2.5}\n', r"width = 10\.5, expected int"),
        ('[space]\n"distill.width" = {low = 8, high = 16, step = 9}\n', r"step = 9, expected more than 0"),
        ('[space]\n"distill.width" = {low = 0, high = 16, log = true}\n', r"expected low > 0 and no step"),
        ('[space]\n"distil.width" = [8]\n', r"'distil\.width', expected a recipe's TABLE\.KEY.*teach, distill, prune"),
        ('[space]\n"measure.runs" = [8]\n', r"'measure\.runs', expected a recipe's TABLE\.KEY"),
        ("[space]\nwidth = [8]\n", r"'width', expected a recipe's TABLE\.KEY"),
        (WIDTHS + '[search]\nmethod = "random"\n', r"trials = None with method = 'random', expected a number"),
        (WIDTHS + "[search]\ntrials = 3\n", r"trials = 3 with method = 'grid', expected none"),
        (WIDTHS + '[search]\nmethod = "tpe"\n', r"method = 'tpe', expected one of 'grid', 'random', 'optuna'"),
        (WIDTHS + "[budget]\nmax_byte = 3\n", r"\[budget\] has an unknown key 'max_byte'"),
        (WIDTHS + "[budget]\nmax_bytes = 0\n", r"max_bytes = 0, expected at least 1"),
        (WIDTHS + "[halving]\nreduction = 3\n", r"\[halving\] has no first_step"),
        (WIDTHS + "[halving]\nfirst_step = 10\nreduction = 1\n", r"reduction = 1, expected at least 2"),
        (WIDTHS + "[resources]\ngpus = 1.5\n", r"gpus = 1\.5, expected a share from 0 to 1, or a whole number"),
        (WIDTHS + "[resources]\ncpus = 0\n", r"cpus = 0, expected at least 1"),
        (WIDTHS + "[serach]\n", r"unknown entry 'serach'; expected recipe, data, teacher, search"),
        ("search = 3\n" + WIDTHS, r"search = 3, expected a table \[search\]"),
        ("space = \n", r"is no TOML"),
    ],
    ids=lambda value: None,
)
def test_what_is_wrong_is_named(write_sweep: Callable[..., Path], tables: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_spec(write_sweep(tables), _classes_above())


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("", r"has no recipe\. Add a line"),
        ('recipe = "avatars"', r"has no data\. Add a line"),
        ('recipe = "avatars"\ndata = 3', r"data = 3, expected a text"),
    ],
)
def test_a_sweep_names_its_recipe_and_data(write_sweep: Callable[..., Path], head: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        read_spec(write_sweep(WIDTHS, head=head), _classes_above())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml does not exist"):
        read_spec(tmp_path / "none.toml", _classes_above())


def test_the_documented_sweep_is_one(tmp_path: Path) -> None:
    document = Path(__file__).parents[4] / "docs" / "fleet.md"
    found = re.search(r"```toml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    (tmp_path / "sweep.toml").write_text(found[1], encoding="utf-8")
    spec = read_spec(tmp_path / "sweep.toml", _classes_above())
    assert spec.recipe == "avatars"
    assert spec.halving
    assert len(spec.axes) == 3
