"""Proposals: all combinations, draws of a seed, or suggestions; the same again for a sweep that was killed."""

import pytest

from compress.errors import UsageError
from compress.fleet.sweep.proposals import Told, propose
from compress.fleet.sweep.space import Axis, Range, Settings, grid
from compress.fleet.sweep.spec import SearchConfig

WIDTH = Axis("distill.width", (16, 24, 32))
FAMILY = Axis("distill.family", ("unet", "separable"))
RATE = Axis("distill.learning_rate", Range(low=1e-4, high=1e-2, log=True))


def test_a_grid_is_every_combination_the_last_key_fastest() -> None:
    axes = (WIDTH, FAMILY, Axis("distill.l1_weight", Range(low=0.1, high=0.3, step=0.1)))
    found = propose(SearchConfig(), axes, [])
    assert len(found) == 3 * 2 * 3
    assert found[0] == {"distill.width": 16, "distill.family": "unet", "distill.l1_weight": 0.1}
    assert [one["distill.l1_weight"] for one in found[:3]] == [0.1, 0.2, 0.3]
    assert propose(SearchConfig(), axes, [Told(one, 0.1) for one in found]) == []


def test_a_range_of_whole_numbers_has_a_step_of_one() -> None:
    assert Axis("distill.blocks", Range(low=1, high=3)).listed() == (1, 2, 3)
    assert Axis("distill.width", Range(low=16, high=30, step=6)).listed() == (16, 22, 28)


def test_a_grid_needs_steps_and_an_end() -> None:
    with pytest.raises(UsageError, match=r"distill\.learning_rate is a range without a step"):
        grid([RATE])
    with pytest.raises(UsageError, match=r"10201 combinations, expected at most 10000"):
        grid([Axis("a.b", tuple(range(101))), Axis("a.c", tuple(range(101)))])
    with pytest.raises(UsageError, match=r"100001 values, expected at most 10000"):
        grid([Axis("a.b", Range(low=0, high=100_000))])


def test_random_draws_are_those_of_the_seed_and_more_trials_begin_with_them() -> None:
    search = SearchConfig(method="random", trials=6, seed=4)
    found = propose(search, (WIDTH, RATE), [])
    assert found == propose(search, (WIDTH, RATE), [])
    assert found == propose(SearchConfig(method="random", trials=9, seed=4), (WIDTH, RATE), [])[:6]
    assert found != propose(SearchConfig(method="random", trials=6, seed=5), (WIDTH, RATE), [])
    assert all(one["distill.width"] in (16, 24, 32) and 1e-4 <= one["distill.learning_rate"] <= 1e-2 for one in found)


def test_random_draws_nothing_twice_and_ends_where_a_space_does() -> None:
    found = propose(SearchConfig(method="random", trials=20), (WIDTH, FAMILY), [])
    assert sorted(map(str, found)) == sorted(map(str, grid([WIDTH, FAMILY])))


def _run_optuna(search: SearchConfig) -> list[Told]:
    told: list[Told] = []
    while settings := propose(search, (WIDTH, RATE), told):
        assert settings == propose(search, (WIDTH, RATE), told)
        told += [_judge(one) for one in settings]
    return told


def _judge(settings: Settings) -> Told:
    """A width of 16 is never trained, one of 32 stopped; others are the better the nearer their rate is to 1e-3."""
    if settings["distill.width"] == 16:
        return Told(settings, None)
    distance = abs(settings["distill.learning_rate"] - 1e-3)
    return Told(settings, None if settings["distill.width"] == 32 else distance, ((10, distance),))


def test_optuna_learns_from_what_has_ended_and_does_so_again_after_a_kill() -> None:
    told = _run_optuna(SearchConfig(method="optuna", trials=60, generation=10))
    assert len(told) == 60
    late = [one.settings["distill.width"] for one in told[30:]]
    assert late.count(24) > len(late) / 2
    assert told == _run_optuna(SearchConfig(method="optuna", trials=60, generation=10))
