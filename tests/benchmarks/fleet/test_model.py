"""What is split shrinks with the workers, what is not is named as the limit."""

import pytest

from benchmarks.fleet.model import ScoringCosts, SweepCosts, predict_scoring, predict_sweep

COSTS = ScoringCosts(
    start_s=3.0,
    open_s=2.0,
    image_s=0.01,
    dispatch_s=0.001,
    merge_image_s=1e-5,
    statistics_image_s=1e-4,
    statistics_pair_s=1e-8,
)


def test_parts_are_the_costs_times_what_they_are_of():
    parts = predict_scoring(10_000, 10, COSTS, shard_images=100)
    assert parts.start == 3.0
    assert parts.work == pytest.approx(2.0 + 10 * 100 * 0.01)
    assert parts.dispatch == 0.0
    assert parts.merge == pytest.approx(0.1)
    assert parts.statistics == pytest.approx(1.0 + 1.0)
    assert parts.total == pytest.approx(3 + 12 + 0.1 + 2)


def test_few_images_are_limited_by_the_start_and_many_by_the_pairs():
    assert predict_scoring(100, 1000, COSTS, shard_images=100).longest == "start"
    assert predict_scoring(100_000, 1, COSTS, shard_images=100).longest == "work"
    assert predict_scoring(1_000_000, 1000, COSTS, shard_images=100).longest == "statistics"


def test_shards_that_are_too_small_are_limited_by_who_hands_them_out():
    parts = predict_scoring(1_000_000, 10_000, COSTS, shard_images=1)
    assert parts.dispatch == pytest.approx(1_000_000 * 0.001 - parts.work)


def test_trials_run_in_rounds_of_as_many_as_fit():
    costs = SweepCosts(start_s=3.0, trial_s=600.0, driver_s=0.5)
    assert predict_sweep(10, 4, costs).total == pytest.approx(3 + 3 * 600)
    assert predict_sweep(10_000, 10_000, costs).dispatch == pytest.approx(10_000 * 0.5 - 600)
