"""The Pareto front of a sweep's students, and which of it are chosen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compress.fleet.budget.config import Budgets
from compress.fleet.choice import choose, choose_in, find_front, list_candidates


@pytest.fixture
def students(ended: Callable[..., Any]) -> Callable[..., list[Any]]:
    """Finished trials from (KID, bytes) or (KID, bytes, latency), whose KID has a spread of 0.004."""

    def make(*figures: tuple[float, ...]) -> list[Any]:
        return [
            ended(number, kid=one[0], size_bytes=int(one[1]), latency_ratio=one[2] if len(one) > 2 else None)
            for number, one in enumerate(figures)
        ]

    return make


def _front(trials: list[Any]) -> list[int]:
    return [one.trial.number for one in find_front(list_candidates(trials))]


def _chosen(trials: list[Any], budgets: Budgets | None = None) -> list[int]:
    return [one.trial.number for one in choose(trials, budgets)]


def test_front_holds_what_none_beats_in_both(students: Callable[..., list[Any]]) -> None:
    trials = students((0.05, 100), (0.06, 90), (0.07, 95), (0.04, 200), (0.05, 120))
    assert _front(trials) == [3, 0, 1]


def test_of_equal_students_the_first_is_on_the_front(students: Callable[..., list[Any]]) -> None:
    assert _front(students((0.05, 100), (0.05, 100))) == [0]


def test_front_counts_latency_where_all_have_it(students: Callable[..., list[Any]]) -> None:
    """The second is larger and worse, but faster."""
    assert _front(students((0.05, 100, 0.9), (0.06, 110, 0.5))) == [0, 1]
    assert _front(students((0.05, 100, 0.9), (0.06, 110))) == [0]


def test_noise_is_not_paid_for(students: Callable[..., list[Any]]) -> None:
    """Of those within one spread of the best, the smallest is chosen."""
    assert _chosen(students((0.050, 300), (0.052, 200), (0.0535, 100), (0.070, 50))) == [2, 3]


def test_what_is_worse_beyond_noise_is_chosen_only_where_it_costs_less(students: Callable[..., list[Any]]) -> None:
    assert _chosen(students((0.050, 300), (0.060, 200), (0.070, 250))) == [0, 1]


def test_choice_weighs_bytes_against_latency(students: Callable[..., list[Any]]) -> None:
    """Within the noise, the smaller and the faster one are both worth having; the one that is neither is not."""
    assert _chosen(students((0.050, 300, 0.9), (0.051, 100, 0.8), (0.052, 200, 0.5))) == [1, 2]


def test_only_finished_students_with_a_kid_are_chosen(ended: Callable[..., Any]) -> None:
    trials = [
        ended(0, "stopped", kid=0.001),
        ended(1, "failed"),
        ended(2, "over_budget"),
        ended(3, None),
        ended(4, held_back=(), kept_step=200),
        ended(5, kid=0.09),
    ]
    assert _chosen(trials) == [5]


def test_quality_is_that_of_the_kept_weights(ended: Callable[..., Any]) -> None:
    trial = ended(0, held_back=((100, 0.03, 0.001), (200, 0.05, 0.002)), kept_step=100)
    [only] = choose([trial])
    assert (only.kid, only.spread) == (0.03, 0.001)


def test_a_file_that_turned_out_too_large_is_not_chosen(students: Callable[..., list[Any]]) -> None:
    trials = students((0.05, 101), (0.06, 100))
    assert _chosen(trials, Budgets(max_bytes=100)) == [1]
    assert _chosen(trials, Budgets(max_macs=1)) == []


def test_budgets_are_those_of_the_sweeps_file(
    students: Callable[..., list[Any]], write_sweep: Callable[..., Path]
) -> None:
    folder = write_sweep(students((0.05, 101), (0.06, 100)), budget="[budget]\nmax_bytes = 100\n")
    assert [one.trial.number for one in choose_in(folder)] == [1]


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose([]) == []
