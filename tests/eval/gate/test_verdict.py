"""Verdicts, by where an interval lies to its limit."""

import numpy as np
import pytest

from eval.confidence import RESAMPLES, Interval, normal_interval, resample_counts
from eval.gate.limits import parse_limit
from eval.gate.measurement import ResampledDistance
from eval.gate.verdict import (
    Verdict,
    Worse,
    check_increase,
    check_maximum,
    check_mean,
    check_paired_mean,
    choose_gravest,
    combine_verdicts,
    decide_verdict,
)


def noisy(value: float, *, deviation: float, seed: int) -> ResampledDistance:
    return ResampledDistance(value=value, resampled=np.random.default_rng(seed).normal(value, deviation, RESAMPLES))


@pytest.mark.parametrize(
    ("low", "high", "worse", "verdict"),
    [
        (0.5, 1.9, "higher", "pass"),
        (0.5, 2.0, "higher", "pass"),
        (0.5, 2.1, "higher", "inconclusive"),
        (2.0, 3.0, "higher", "inconclusive"),
        (2.1, 3.0, "higher", "regression"),
        (2.1, 3.0, "lower", "pass"),
        (2.0, 3.0, "lower", "pass"),
        (1.9, 3.0, "lower", "inconclusive"),
        (1.0, 2.0, "lower", "inconclusive"),
        (1.0, 1.9, "lower", "regression"),
    ],
)
def test_verdict_at_the_borders_of_a_limit_of_2(low: float, high: float, worse: Worse, verdict: Verdict) -> None:
    assert decide_verdict(Interval(low=low, high=high), 2.0, worse) == verdict


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "inconclusive"], "inconclusive"),
        (["inconclusive", "regression", "pass"], "regression"),
    ],
)
def test_gravest_verdict_is_the_overall_one(verdicts: list[Verdict], expected: Verdict) -> None:
    assert combine_verdicts(verdicts) == expected


@pytest.mark.parametrize(
    ("increase", "verdict"), [(0.0, "pass"), (4.0, "pass"), (5.0, "inconclusive"), (6.0, "regression")]
)
def test_increase_is_held_against_its_limit(increase: float, verdict: Verdict) -> None:
    # The interval reaches 1.96 * 0.3, about 0.6, to either side.
    baseline, candidate = noisy(100.0, deviation=0.0, seed=0), noisy(100.0 + increase, deviation=0.3, seed=1)
    for limit in ("5%", "5"):
        check = check_increase("max_fid_increase", "fid", baseline, candidate, parse_limit(limit, "max_fid_increase"))
        assert check.verdict == verdict
        assert check.difference == pytest.approx(increase)
        assert check.limit == pytest.approx(5.0)


def test_noise_that_candidate_and_baseline_share_cancels() -> None:
    baseline = noisy(100.0, deviation=20.0, seed=0)
    candidate = ResampledDistance(value=103.0, resampled=baseline.resampled + 3.0)
    check = check_increase("max_fid_increase", "fid", baseline, candidate, parse_limit("2", "max_fid_increase"))
    assert check.verdict == "regression"
    assert check.interval is not None
    assert (check.interval.low, check.interval.high) == pytest.approx((3.0, 3.0))


def test_relative_limit_carries_the_noise_of_its_baseline() -> None:
    baseline = noisy(100.0, deviation=20.0, seed=0)
    candidate = ResampledDistance(value=103.0, resampled=baseline.resampled + 3.0)
    check = check_increase("max_fid_increase", "fid", baseline, candidate, parse_limit("5%", "max_fid_increase"))
    expected = normal_interval(103.0 - 105.0, candidate.resampled - 1.05 * baseline.resampled)
    assert check.interval is not None
    # 5 % of a deviation of 20 is 1, of which the interval reaches 1.96 to either side of 3.
    assert check.interval.low == pytest.approx(expected.low + 5.0)
    assert check.interval.high - check.interval.low == pytest.approx(2 * 1.96, rel=0.1)
    assert check.verdict == decide_verdict(check.interval, check.limit, "higher") == "pass"


def test_equal_measurements_differ_by_exactly_nothing() -> None:
    baseline = noisy(50.0, deviation=3.0, seed=0)
    check = check_increase("max_fid_increase", "fid", baseline, baseline, parse_limit("0", "max_fid_increase"))
    assert (check.difference, check.interval, check.verdict) == (0.0, Interval(low=0.0, high=0.0), "pass")


@pytest.mark.parametrize(("drop", "verdict"), [(0.0, "pass"), (0.3, "inconclusive"), (0.8, "regression")])
def test_drop_of_a_paired_mean_is_held_against_its_limit(drop: float, verdict: Verdict) -> None:
    rng = np.random.default_rng(0)
    baseline = rng.normal(30.0, 4.0, 200)
    # The differences scatter by 1 dB, so their mean by 0.07.
    scatter = rng.normal(0.0, 1.0, 200)
    candidate = baseline - drop + scatter - scatter.mean()
    check = check_paired_mean(
        "max_psnr_drop",
        "psnr_db",
        "dB",
        baseline=baseline,
        candidate=candidate,
        counts=resample_counts(200, seed=0),
        limit=-0.3,
        worse="lower",
    )
    assert check.verdict == verdict
    assert check.difference == pytest.approx(-drop)
    assert check.smallest_visible == pytest.approx(2.8 * 1.0 / np.sqrt(200), rel=0.2)


@pytest.mark.parametrize(("least", "verdict"), [(28.0, "pass"), (30.0, "inconclusive"), (32.0, "regression")])
def test_candidates_own_mean_is_held_against_a_bound(least: float, verdict: Verdict) -> None:
    values = 30.0 + np.linspace(-4.0, 4.0, 100)
    counts = resample_counts(100, seed=0)
    check = check_mean("min_psnr", "psnr_db", "dB", candidate=values, counts=counts, limit=least, worse="lower")
    assert check.verdict == verdict
    assert (check.baseline, check.difference) == (None, None)


@pytest.mark.parametrize(("size", "verdict"), [(249_999, "pass"), (250_000, "pass"), (250_001, "regression")])
def test_bytes_are_certain(size: int, verdict: Verdict) -> None:
    check = check_maximum("max_bytes", "size_bytes", "B", candidate=size, maximum=250_000, found=None)
    assert (check.verdict, check.interval, check.smallest_visible) == (verdict, None, None)


def test_gravest_of_checks_decides_then_the_largest_value() -> None:
    counts = resample_counts(10, seed=0)
    checks = [
        check_mean(
            "max_colour_shift",
            name,
            "levels",
            candidate=np.full(10, shift),
            counts=counts,
            limit=2.0,
            worse="higher",
        )
        for name, shift in (("mean_red_shift", 1.0), ("mean_green_shift", 5.0), ("mean_blue_shift", 1.5))
    ]
    assert choose_gravest(checks).metric == "mean_green_shift"
    assert choose_gravest([checks[0], checks[2]]).metric == "mean_blue_shift"
