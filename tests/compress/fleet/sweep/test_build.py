"""Trials: whole recipes, the same ones again for the same contents."""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest

from compress.cli import _classes_above
from compress.errors import UnusableData, UnusableModel, UsageError
from compress.fleet.sweep.build import Builder, halve_batch
from compress.fleet.sweep.spec import HalvingConfig, read_spec
from compress.prune.config import PruneConfig
from compress.run.recipe import Recipe, check_recipe

SPACE = '[space]\n"distill.width" = [8, 16]\n'


@pytest.fixture
def builder(write_sweep: Callable[..., Path]) -> Callable[..., Builder]:
    """A builder of a sweep's trials; named fields of its `SweepSpec` are replaced."""

    def make(tables: str = SPACE, *, recipe: str | None = None, **changed: object) -> Builder:
        path = write_sweep(tables) if recipe is None else write_sweep(tables, recipe=recipe)
        return Builder(replace(read_spec(path, _classes_above()), **changed), _classes_above())

    return make


def test_a_trial_is_a_whole_recipe(builder: Callable[..., Builder]) -> None:
    proposal = builder().build(3, {"distill.width": 16, "prune.max_bytes": 9000})
    assert (proposal.trial.number, proposal.wrong) == (3, None)
    tables = tomllib.loads(proposal.trial.recipe)
    assert (tables["distill"]["width"], tables["prune"]["max_bytes"]) == (16, 9000)
    # Also what no one said, so that another version's defaults change nothing.
    assert tables["distill"]["learning_rate"] == 2e-3
    assert check_recipe("again", tables, _classes_above()) == replace(proposal.need_recipe(), name="again")


def test_a_key_tells_what_a_trial_holds_not_where_it_lies(
    builder: Callable[..., Builder], photo_folders: Path, teacher_file: Path, tmp_path: Path
) -> None:
    key = builder().build(0, {"distill.width": 16}).trial.key
    assert len(key) == 12
    copytree(photo_folders, tmp_path / "copy")
    moved = builder(data=tmp_path / "copy")
    assert moved.build(7, {"distill.width": 16}).trial.key == key
    assert moved.build(7, {"distill.width": 8}).trial.key != key
    (tmp_path / "copy" / "testA" / "000.png").unlink()
    assert builder(data=tmp_path / "copy").build(0, {"distill.width": 16}).trial.key != key
    other = tmp_path / "other.pth"
    other.write_bytes(teacher_file.read_bytes())
    assert builder(teacher=other).build(0, {"distill.width": 16}).trial.key == key


def test_settings_that_do_not_go_together_are_told_and_known_too(builder: Callable[..., Builder]) -> None:
    first, again = (builder().build(0, {"distill.width": 31}) for _ in range(2))
    assert first.recipe is None
    assert "width = 31" in str(first.wrong)
    assert first.trial.key == again.trial.key
    with pytest.raises(ValueError, match=r"trial 0 cannot be run"):
        first.need_recipe()


def test_every_trial_would_train_the_same_teacher_anew(builder: Callable[..., Builder]) -> None:
    recipe = "[teach]\nsteps = 10\ndecay_steps = 5\n[distill]\nimage_size_px = 64\n"
    with pytest.raises(UsageError, match=r"names no teacher.*compress teach.*vary a key of \[teach\]"):
        builder(recipe=recipe, teacher=None)
    assert builder('[space]\n"teach.filters" = [8, 16]\n', recipe=recipe, teacher=None).inputs.teacher is None


def test_what_all_trials_read_is_there_before_any_starts(builder: Callable[..., Builder], tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"none\.h5 does not exist"):
        builder(teacher=tmp_path / "none.h5")
    with pytest.raises(UnusableData):
        builder(data=tmp_path / "none")
    with pytest.raises(UsageError, match=r"no table \[distill\]"):
        builder(recipe="[measure]\nruns = 3\n")


def test_rungs_lie_where_kid_is_measured(builder: Callable[..., Builder]) -> None:
    halved = builder(halving=HalvingConfig(first_step=25))
    assert r"expected a multiple of distill.sample_every = 10" in str(halved.build(0, {"distill.width": 8}).wrong)
    assert halved.build(0, {"distill.sample_every": 5}).wrong is None
    unwatched = builder(halving=HalvingConfig(first_step=20)).build(0, {"distill.watch_kid": False})
    assert "watch_kid = false with [halving]" in str(unwatched.wrong)


def test_a_file_of_ones_own_is_named_from_the_root_and_known_by_its_content(
    builder: Callable[..., Builder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.keras").write_text("one")
    made = builder()
    settings = {"distill.perceptual_weight": 1.0, "distill.perceptual_network": "mine.keras"}
    first = made.build(0, settings).trial
    assert tomllib.loads(first.recipe)["distill"]["perceptual_network"] == str(tmp_path / "mine.keras")
    Path("mine.keras").write_text("two")
    assert made.build(0, settings).trial.key != first.key


def test_half_a_batch_is_at_least_a_photo() -> None:
    tables = {"distill": {"batch_size": 9}, "prune": {"max_bytes": 9, "batch_size": 1}, "teach": {"batch_size": 2}}
    halved = halve_batch(check_recipe("mine", tables, _classes_above()))
    assert halved.require_distill().batch_size == 4
    assert isinstance(halved.prune, PruneConfig)
    assert (halved.prune.batch_size, halved.teach and halved.teach.batch_size) == (1, 1)
    assert halve_batch(Recipe(name="none")) == Recipe(name="none")
