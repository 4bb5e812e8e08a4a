"""Halving: one in so many goes on, whoever came first."""

import pytest

from compress.fleet.sweep.halving import rank, rungs
from compress.fleet.sweep.spec import HalvingConfig


@pytest.mark.parametrize(("lengths", "expected"), [([100], [10, 30, 90]), ([90, 30], [10, 30]), ([10], []), ([], [])])
def test_rungs_lie_below_the_longest_training(lengths: list[int], expected: list[int]) -> None:
    assert rungs(HalvingConfig(first_step=10), lengths) == expected
    assert rungs(None, lengths) == []


def test_the_lowest_go_on_and_the_others_know_their_place() -> None:
    measured = {"a": 0.4, "b": 0.1, "c": 0.3, "d": 0.2}
    assert rank(measured, list(measured), 2) == {"a": (4, 2), "c": (3, 2)}
    assert rank(measured, list(measured), 3) == {"a": (4, 2), "c": (3, 2)}
    assert rank(measured, list(measured), 4) == {"a": (4, 1), "c": (3, 1), "d": (2, 1)}


def test_of_equals_the_earlier_one_goes_on() -> None:
    assert rank({"first": 0.2, "second": 0.2}, ["first", "second"], 2) == {"second": (2, 1)}


def test_those_that_were_decided_about_count_but_are_not_decided_about_again() -> None:
    assert rank({"old": 0.1, "older": 0.5, "new": 0.2}, ["new"], 3) == {"new": (2, 1)}
    assert rank({"old": 0.1, "unmeasured": 0.5}, ["nobody"], 3) == {}
