"""Outcomes of trials that are kept: found again on the same machine, and only there."""

from pathlib import Path

import pytest

from compress.training import kept_outcomes
from compress.training.kept_outcomes import kept_outcome

TRIAL = {"trial": "which is faster"}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("POCKETGAN_CACHE", str(tmp_path))
    return tmp_path / kept_outcomes.FOLDER


def _find(outcome: str, trial: dict[str, str] = TRIAL) -> str:
    return kept_outcome(trial, ("hare", "tortoise"), lambda: outcome)


def test_a_trial_is_made_once() -> None:
    assert _find("hare") == _find("tortoise") == "hare"
    assert _find("tortoise", {**TRIAL, "size": "large"}) == "tortoise"


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("read_processor", lambda: ("another", {"avx2"})),
        ("count_cores", lambda: 999),
        ("find_gpus", lambda: ["GPU:0"]),
    ],
)
def test_another_machine_makes_its_own(changed: str, to: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _find("hare") == "hare"
    monkeypatch.setattr(kept_outcomes, changed, to)
    assert _find("tortoise") == "tortoise"


def test_other_threads_make_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert _find("hare") == "hare"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert _find("tortoise") == "tortoise"


@pytest.mark.parametrize("damage", [lambda kept: kept[:20], lambda kept: kept.replace(b"hare", b"hoax")])
def test_what_is_damaged_is_tried_anew(damage, cache: Path) -> None:
    _find("hare")
    (kept,) = cache.iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert _find("tortoise") == _find("hare") == "tortoise"


def test_a_cache_that_cannot_be_written_costs_only_a_trial(cache: Path) -> None:
    cache.write_bytes(b"no folder")
    assert [_find("hare"), _find("tortoise")] == ["hare", "tortoise"]
