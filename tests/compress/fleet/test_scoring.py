"""Scoring of the chosen: through their runs, once, with the number of trials beside the score."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.errors import UnusableArtifact
from compress.files.atomic import replace_text
from compress.fleet import scoring
from compress.fleet.choice import choose, choose_in
from compress.fleet.command import CommandFailed
from compress.fleet.scoring import SCORED, Score, read_scores, score_once
from compress.fleet.trial import RECIPE, list_trials, trial_folder

METRIC = "kid_efficientnet_lite0"


def _write_scored_run(run: Path) -> None:
    """Write what the end of a `compress run` leaves, as far as it is read."""
    entry = {"name": "student_int8", "latency_ms": {"median": 1.25}}
    replace_text(run / "bench.json", json.dumps({"entries": [{"name": "teacher"}, entry]}))
    for name, kid in {"inputs": 0.08, "teacher": 0.02, "student_int8": 0.031}.items():
        record = {
            METRIC: {"mean": kid, "spread": 0.003},
            "intervals": {METRIC: {"low": kid - 0.01, "high": kid + 0.01}},
        }
        record["similarity"] = {"psnr_db": {"mean": 24.5}}
        replace_text(run / "scores" / f"{name}.json", json.dumps(record))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Commands that were run, none of them for real."""
    commands: list[Sequence[str]] = []

    def run(arguments: Sequence[str]) -> None:
        commands.append(arguments)
        _write_scored_run(Path(arguments[arguments.index("--out") + 1]))

    monkeypatch.setattr(scoring, "run_command", run)
    return commands


@pytest.fixture
def sweep(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> Path:
    trials = [
        ended(0, kid=0.05, size_bytes=100),
        ended(1, kid=0.09, size_bytes=50),
        ended(2, kid=0.06, size_bytes=200),
        ended(3, "failed"),
    ]
    return write_sweep(trials)


def test_the_chosen_alone_are_run_to_their_end(sweep: Path, ran: list[Sequence[str]]) -> None:
    scored = score_once(sweep, choose_in(sweep))
    assert [command[:2] for command in ran] == [
        ["run", str(trial_folder(sweep, f"{number:012x}").absolute() / RECIPE)] for number in (0, 1)
    ]
    assert all("--until" not in command for command in ran)
    assert list(scored) == [f"{number:012x}" for number in (0, 1)]


def test_a_score_says_what_it_was_chosen_from(sweep: Path, ran: list[Sequence[str]]) -> None:
    score = score_once(sweep, choose_in(sweep))[f"{0:012x}"]
    assert score.interval == pytest.approx((0.021, 0.041))
    assert score == Score(
        tried=4,
        metric=METRIC,
        kid=0.031,
        spread=0.003,
        interval=score.interval,
        control=0.08,
        teacher=0.02,
        psnr_db=24.5,
        effect=None,
        latency_ms=1.25,
    )


def test_a_repeat_scores_nothing_again(sweep: Path, ran: list[Sequence[str]]) -> None:
    first = score_once(sweep, choose_in(sweep))
    assert score_once(sweep, choose_in(sweep)) == first == read_scores(sweep)
    assert len(ran) == 2


def test_what_is_chosen_later_is_scored_beside_what_was(
    sweep: Path, ran: list[Sequence[str]], ended: Callable[..., Any], write_sweep: Callable[..., Path]
) -> None:
    """A longer sweep chooses another student: its score tells of more trials, the earlier ones stay as they were."""
    score_once(sweep, choose_in(sweep))
    write_sweep([*list_trials(sweep), ended(4, kid=0.01, size_bytes=20)])
    scored = score_once(sweep, choose_in(sweep))
    assert {key: score.tried for key, score in scored.items()} == {f"{0:012x}": 4, f"{1:012x}": 4, f"{4:012x}": 5}
    assert len(ran) == 3


def test_what_was_scored_before_a_failure_is_kept(
    sweep: Path, ran: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scoring.run_command

    def fail_at_the_second(arguments: Sequence[str]) -> None:
        if ran:
            raise CommandFailed(arguments, 3, "no")
        run(arguments)

    monkeypatch.setattr(scoring, "run_command", fail_at_the_second)
    with pytest.raises(CommandFailed):
        score_once(sweep, choose_in(sweep))
    assert list(read_scores(sweep)) == [f"{0:012x}"]


def test_a_torn_record_is_not_scored_over(sweep: Path, ran: list[Sequence[str]]) -> None:
    (sweep / SCORED).write_text('{"a": {', encoding="utf-8")
    with pytest.raises(UnusableArtifact, match="Put a copy of it back"):
        score_once(sweep, choose(list_trials(sweep)))
    assert ran == []
