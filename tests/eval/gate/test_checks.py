"""The checks that a gate makes, those that it refuses, and those that it leaves out and names."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.errors import UnusableData, UsageError
from eval.confidence import Interval
from eval.config import GateConfig
from eval.gate.checks import find_unchecked, make_checks
from eval.gate.latency import LatencyRatio
from eval.gate.limits import parse_limits
from eval.gate.measurement import Measurement
from eval.gate.stage import require_same_measurement
from eval.gate.verdict import LimitCheck

Measured = Callable[..., Measurement]


def config(**limits: Any) -> GateConfig:
    return GateConfig(candidate=Path("new"), baseline=Path("old.json"), data=Path("data"), **limits)


def checks(
    baseline: Measurement, candidate: Measurement, latency: LatencyRatio | None = None, **limits: Any
) -> dict[str, LimitCheck]:
    return {check.name: check for check in make_checks(parse_limits(config(**limits)), baseline, candidate, latency)}


def test_defaults_check_fid_and_colour(measured: Measured) -> None:
    made = checks(measured(noise=1.0), measured(noise=1.0))
    assert {name: check.verdict for name, check in made.items()} == {
        "max_fid_increase": "pass",
        "max_worst_drop": "pass",
        "max_photo_ssim_drop": "pass",
        "max_colour_shift": "pass",
    }


def test_every_limit_finds_its_regression(measured: Measured) -> None:
    made = checks(
        measured(psnr_db=30.0),
        measured(fid=60.0, kid=0.05, psnr_db=25.0, photo_ssim=0.6, level=105.0, size_bytes=300_000),
        LatencyRatio(ratio=1.4, interval=Interval(low=1.3, high=1.5)),
        max_kid_increase="0.002",
        min_psnr=28.0,
        max_bytes=250_000,
        max_latency_ratio=1.1,
    )
    assert set(made) == {
        "max_fid_increase",
        "max_kid_increase",
        "min_psnr",
        "max_psnr_drop",
        "max_worst_drop",
        "max_photo_ssim_drop",
        "max_colour_shift",
        "max_bytes",
        "max_latency_ratio",
    }
    assert {check.verdict for check in made.values()} == {"regression"}
    assert made["max_psnr_drop"].difference == pytest.approx(-5.0)
    assert made["max_kid_increase"].metric == "kid"


def test_improvement_passes(measured: Measured) -> None:
    made = checks(measured(psnr_db=30.0, noise=1.0), measured(fid=30.0, psnr_db=35.0, noise=1.0))
    assert {check.verdict for check in made.values()} == {"pass"}


def test_noise_as_large_as_the_limit_leaves_the_question_open(measured: Measured) -> None:
    made = checks(measured(noise=2.0, seed=1), measured(fid=51.0, noise=2.0, seed=2))
    assert made["max_fid_increase"].verdict == "inconclusive"


@pytest.mark.parametrize("shifts", [[5.0], [-5.0], [5.0, -5.0]])
def test_colours_that_move_to_either_side_are_a_regression(measured: Measured, shifts: list[float]) -> None:
    baseline, candidate = measured(), measured()
    shift = np.resize(shifts, candidate.images)
    moved = {**candidate.paired, "mean_green": candidate.paired["mean_green"] + shift}
    check = checks(baseline, replace(candidate, paired=moved))["max_colour_shift"]
    assert (check.metric, check.verdict) == ("mean_green_shift", "regression")
    assert (check.candidate, check.limit) == (pytest.approx(5.0), 2.0)


def test_share_of_a_kernel_distance_below_zero_is_refused(measured: Measured) -> None:
    with pytest.raises(UsageError, match=r"--max-kid-increase 5% is relative.*-0\.001; pass an absolute limit"):
        checks(measured(kid=-0.001), measured(kid=-0.001), max_kid_increase="5%")


@pytest.mark.parametrize(
    ("limits", "needed"),
    [
        ({"min_psnr": 20.0}, "--teacher"),
        ({"max_psnr_drop": 0.3}, "--teacher"),
        ({"max_psnr_drop": 0.3, "teacher": Path("t")}, "old.json holds no PSNR"),
        ({"max_bytes": 250_000}, "--model"),
        ({"max_latency_ratio": 1.1}, "--bench"),
        ({"bench": Path("bench.json")}, "--max-latency-ratio"),
    ],
)
def test_limit_without_its_material_is_refused(measured: Measured, limits: dict[str, Any], needed: str) -> None:
    with pytest.raises(UsageError, match=needed):
        find_unchecked(config(**limits), measured())


def test_default_without_its_material_is_left_out_and_named(measured: Measured) -> None:
    assert [(item.name, "--teacher" in item.why) for item in find_unchecked(config(), measured())] == [
        ("max_psnr_drop", True)
    ]
    assert find_unchecked(config(teacher=Path("t")), measured(psnr_db=30.0)) == []
    assert find_unchecked(config(teacher=Path("t"), max_psnr_drop=0.1), None) == []


def test_folder_as_baseline_stands_in_for_the_teacher_of_the_candidate_alone() -> None:
    assert [item.name for item in find_unchecked(config(min_psnr=30.0), None)] == ["max_psnr_drop"]
    with pytest.raises(UsageError, match="--max-psnr-drop"):
        find_unchecked(config(max_psnr_drop=0.1), None)


@pytest.mark.parametrize("name", ["inputs_sha256", "resamples", "seed", "real_sha256", "fake_images", "network"])
def test_measurements_of_other_keys_are_refused_by_name(measured: Measured, name: str) -> None:
    baseline = measured()
    other = replace(baseline, key={**baseline.key, name: "other"})
    with pytest.raises(UnusableData, match=rf"old\.json and new do not compare: they differ in {name}"):
        require_same_measurement(config(), other, baseline)


def test_other_teacher_than_the_baselines_is_refused(measured: Measured) -> None:
    baseline, candidate = measured(psnr_db=30.0), measured(psnr_db=30.0, teacher_sha256="d" * 64)
    with pytest.raises(UnusableData, match=r"old\.json was compared with other images of a teacher"):
        require_same_measurement(config(teacher=Path("t")), baseline, candidate)
    require_same_measurement(config(), baseline, measured())
