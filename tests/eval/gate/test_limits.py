"""Limits as people write them."""

from pathlib import Path
from typing import Any

import pytest

from compress.errors import UsageError
from eval.config import GateConfig
from eval.gate.limits import parse_limit, parse_limits


def config(**limits: Any) -> GateConfig:
    return GateConfig(candidate=Path("c"), baseline=Path("b"), data=Path("d"), **limits)


@pytest.mark.parametrize(
    ("text", "baseline", "allowed"),
    [("5%", 40.0, 2.0), ("0%", 40.0, 0.0), ("2.5 %", 40.0, 1.0), ("0.002", 40.0, 0.002), ("1e-3", 7.0, 1e-3)],
)
def test_limit_is_a_share_of_the_baseline_or_an_amount(text: str, baseline: float, allowed: float) -> None:
    assert parse_limit(text, "max_fid_increase").allowed(baseline) == pytest.approx(allowed)


@pytest.mark.parametrize("text", ["-1", "-5%", "nan", "nan%", "inf", "five", "", "%", "5%%"])
def test_senseless_limit_is_refused_by_flag_and_value(text: str) -> None:
    with pytest.raises(UsageError, match="--max-kid-increase") as refused:
        parse_limits(config(max_kid_increase=text))
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("field", ["min_psnr", "max_psnr_drop", "max_colour_shift", "max_bytes", "max_latency_ratio"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_senseless_number_is_refused_by_flag_and_value(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"--{field.replace('_', '-')} '{value}'"):
        parse_limits(config(**{field: value}))


def test_psnr_that_equal_images_would_miss_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--min-psnr 60 cannot be met.*58\.9 dB"):
        parse_limits(config(min_psnr=60))


def test_limits_that_are_not_given_have_defaults() -> None:
    limits = parse_limits(config())
    assert limits.fid.allowed(100.0) == pytest.approx(5.0)
    assert (limits.kid, limits.min_psnr, limits.max_bytes, limits.latency_ratio) == (None,) * 4
    assert (limits.psnr_drop, limits.colour_shift) == (0.3, 2.0)
