"""The end of a sweep: choice, scores, times and page, in this order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.errors import UnusableModel
from compress.fleet import closing
from compress.fleet.closing import close_sweep, closing_lines
from compress.fleet.report.page import PAGE
from compress.fleet.scoring import Score

SCORE = Score(
    tried=3, metric="kid", kid=0.04, spread=0.002, interval=None, control=None, teacher=None, psnr_db=None, effect=None,
    latency_ms=None,
)  # fmt: skip


@pytest.fixture
def sweep(ended: Callable[..., Any], write_sweep: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of three trials, of which the first is chosen, with what runs commands left out."""
    scores = {f"{0:012x}": SCORE}
    monkeypatch.setattr(closing, "score_once", lambda *_: scores)
    monkeypatch.setattr(closing, "read_scores", lambda _: scores)
    monkeypatch.setattr(closing, "time_finished", lambda *_: None)
    return write_sweep([ended(0, kid=0.05, size_bytes=100), ended(1, kid=0.06, size_bytes=200), ended(2, "failed")])


def test_the_chosen_are_told_with_their_scores(sweep: Path) -> None:
    [chosen] = close_sweep(sweep)
    assert (chosen["number"], chosen["held_back_kid"], chosen["size_bytes"]) == (0, 0.05, 100)
    assert chosen["score"]["tried"] == 3
    assert (sweep / PAGE).is_file()


def test_a_sweep_whose_files_cannot_be_timed_has_all_the_rest(
    sweep: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise UnusableModel("no delegate")

    monkeypatch.setattr(closing, "time_finished", fail)
    assert len(close_sweep(sweep)) == 1
    assert (sweep / PAGE).is_file()
    assert "latency is not known: no delegate" in caplog.text


def test_the_terminal_gets_the_number_of_trials_beside_the_score(sweep: Path) -> None:
    head, chosen, _, told, page = closing_lines(sweep).splitlines()
    assert " ".join(chosen.split()) == "trial 0 width 8 0.0500 ± 0.0040 0.1 kB 0.0400 ± 0.0020 3 trials"
    assert head.split()[-2:] == ["chosen", "from"]
    assert told == "3 trials: 2 finished, 1 failed; 0.03 hours of work"
    assert page == f"page: {sweep / PAGE}"


def test_nothing_chosen_is_told(ended: Callable[..., Any], write_sweep: Callable[..., Path]) -> None:
    assert closing_lines(write_sweep([ended(0, held_back=())])).startswith("nothing is chosen")
