"""The driver: what is proposed, refused, halved and ended, with an engine that trains at once."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compress.cli import _classes_above
from compress.errors import UsageError
from compress.files.atomic import replace_text
from compress.fleet.budget.check import Verdict
from compress.fleet.sweep import driver as module
from compress.fleet.sweep.build import Builder, Proposal
from compress.fleet.sweep.driver import Driver
from compress.fleet.sweep.spec import read_spec
from compress.fleet.trial import Outcome, list_trials, read_outcome, remove_outcome, run_folder, write_outcome

WIDTHS = '[space]\n"distill.width" = [8, 16, 24, 31, 32]\n'


class Trainer:
    """An engine whose trainings take no time: KID is the width over the step."""

    def __init__(self, sweep_dir: Path) -> None:
        self._sweep_dir = sweep_dir
        self.done: list[tuple[int, int | None]] = []
        """Width of what was trained, and where it paused."""

    def run(self, proposals: Sequence[Proposal], *, pause_at: int | None) -> None:
        for one in proposals:
            config = one.need_recipe().require_distill()
            self.done.append((config.width, pause_at))
            # A quick training is further before it pauses.
            last = config.steps if pause_at is None else pause_at + 10
            kids = [(step, config.width / step, 0.01) for step in range(10, last + 1, 10)]
            _write_history(run_folder(self._sweep_dir, one.trial.key) / "student.training", kids)
            if pause_at is None:
                ended = Outcome("finished", None, 1, 1.0, "node", 1, 1, None, tuple(kids), last)
                write_outcome(self._sweep_dir, one.trial.key, ended)


def _write_history(folder: Path, kids: Sequence[tuple[int, float, float]]) -> None:
    points = [
        {"step": step, "held_back_psnr_db": 20.0, "weights": "raw", "kid": {
            "mean": kid, "spread": spread, "metric": "kid", "network": "none"
        }}
        for step, kid, spread in kids
    ]  # fmt: skip
    replace_text(folder / "training.json", json.dumps({"history": points, "kid_to": None, "teacher_kid": None}))


@pytest.fixture
def run(
    write_sweep: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Trainer, dict[int, Outcome | None]]]:
    """Run a sweep over `tmp_path / "out"`; a student takes a byte a channel. Returns the trainer, outcomes by width."""
    out = tmp_path / "out"

    def check(trials: Sequence[Any], budgets: Any, sweep_dir: Path, *, base: str) -> list[Verdict]:
        sizes = [trial.settings["distill.width"] for trial in trials]
        most = budgets.max_bytes or 10**9
        return [Verdict(size_bytes=size, over=f"{size} bytes" if size > most else None) for size in sizes]

    monkeypatch.setattr(module, "check_all", check)

    def call(tables: str, **changed: Any) -> tuple[Trainer, dict[int, Outcome | None]]:
        spec = replace(read_spec(write_sweep(tables), _classes_above()), **changed)
        trainer = Trainer(out)
        Driver(spec, Builder(spec, _classes_above()), out, lambda verdicts: trainer).run()  # pyright: ignore
        return trainer, {trial.settings["distill.width"]: outcome for trial, outcome in list_trials(out)}

    return call


def test_every_trial_ends_as_it_should_and_none_twice(run: Callable[..., Any]) -> None:
    trainer, outcomes = run(WIDTHS + "[budget]\nmax_bytes = 24\n")
    statuses = {width: outcome.status for width, outcome in outcomes.items()}
    assert statuses == {8: "finished", 16: "finished", 24: "finished", 31: "failed", 32: "over_budget"}
    assert "width = 31" in outcomes[31].reason
    assert (outcomes[32].reason, outcomes[32].attempts, outcomes[32].size_bytes) == ("32 bytes", 0, 32)
    assert trainer.done == [(8, None), (16, None), (24, None)]
    trainer, again = run(WIDTHS + "[budget]\nmax_bytes = 24\n")
    assert trainer.done == []
    assert again == outcomes


def test_a_longer_list_adds_trials_and_a_shorter_one_leaves_them_out(run: Callable[..., Any], tmp_path: Path) -> None:
    run('[space]\n"distill.width" = [16, 8]\n')
    trainer, outcomes = run('[space]\n"distill.width" = [8, 24]\n')
    assert trainer.done == [(24, None)]
    assert list(outcomes) == [8, 24]
    assert len(list((tmp_path / "out" / "trials").iterdir())) == 3


def test_a_wider_budget_lets_what_was_over_it_go_on(run: Callable[..., Any]) -> None:
    _, outcomes = run('[space]\n"distill.width" = [8, 24]\n[budget]\nmax_bytes = 10\n')
    assert outcomes[24].status == "over_budget"
    trainer, outcomes = run('[space]\n"distill.width" = [8, 24]\n[budget]\nmax_bytes = 30\n')
    assert trainer.done == [(24, None)]
    assert outcomes[24].status == "finished"


def test_the_best_half_goes_on_after_each_rung(run: Callable[..., Any], tmp_path: Path) -> None:
    tables = '[space]\n"distill.width" = [8, 16, 24, 32, 40]\n[halving]\nfirst_step = 20\nreduction = 2\n'
    trainer, outcomes = run(tables)
    assert trainer.done == [
        *((width, 20) for width in (8, 16, 24, 32, 40)),
        *((width, 40) for width in (8, 16, 24)),
        *((width, 80) for width in (8, 16)),
        (8, None),
    ]
    assert outcomes[24].reason == "KID 0.6000 at step 40 is number 3 of 3; 2 go on"
    assert outcomes[40].held_back == ((10, 4.0, 0.01), (20, 2.0, 0.01))
    assert {width: one.status for width, one in outcomes.items() if one.status != "stopped"} == {8: "finished"}
    # One that was killed at a rung is decided about as before, and what has stopped stays so.
    key = next(trial.key for trial, _ in list_trials(tmp_path / "out") if trial.settings["distill.width"] == 24)
    remove_outcome(tmp_path / "out", key)
    trainer, again = run(tables)
    assert trainer.done == []
    assert again == outcomes
    assert read_outcome(tmp_path / "out", key) == outcomes[24]


def test_a_short_training_is_over_before_a_rung(run: Callable[..., Any]) -> None:
    tables = (
        '[space]\n"distill.width" = [8, 16]\n"distill.steps" = [20, 100]\n[halving]\nfirst_step = 40\nreduction = 2\n'
    )
    trainer, _ = run(tables)
    assert trainer.done == [(8, 40), (16, 40), (8, 80), (8, None), (8, None), (16, None)]


def test_settings_of_which_none_go_together_are_the_sweeps_own_mistake(run: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"no settings of \[space\] go together\. The first are .*31"):
        run('[space]\n"distill.width" = [31, 33]\n')


def test_optuna_proposes_as_many_as_it_is_asked_for(run: Callable[..., Any], tmp_path: Path) -> None:
    search = '[search]\nmethod = "optuna"\ntrials = 12\ngeneration = 4\n[space]\n'
    trainer, _ = run(search + '"distill.width" = {low = 8, high = 80, step = 2}\n')
    tried = [width for width, _ in trainer.done]
    assert 4 < len(tried) <= 12
    assert len(set(tried)) == len(tried)
    trainer, _ = run(search + '"distill.width" = {low = 8, high = 80, step = 2}\n')
    assert trainer.done == []
