"""How far trials lie apart that differ in nothing but their seeds."""

from collections.abc import Callable
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest

from compress.fleet.choice import list_candidates
from compress.fleet.report.page import write_page
from compress.fleet.report.seeds import measure_seed_noise


@pytest.fixture
def seeded(ended: Callable[..., Any]) -> Callable[..., list[Any]]:
    """Finished trials from (width, seed, KID)."""

    def make(*figures: tuple[int, int, float]) -> list[Any]:
        return [
            ended(number, kid=kid, settings={"distill.width": width, "distill.seed": seed})
            for number, (width, seed, kid) in enumerate(figures)
        ]

    return make


def test_noise_of_one_setting_is_its_standard_deviation(seeded: Callable[..., list[Any]]) -> None:
    noise = measure_seed_noise(list_candidates(seeded((8, 0, 0.05), (8, 1, 0.06), (8, 2, 0.08), (16, 0, 0.9))))
    assert noise is not None
    assert noise.deviation == pytest.approx(stdev([0.05, 0.06, 0.08]))
    assert (noise.trials, noise.groups) == (3, 1)


def test_settings_are_pooled_each_around_its_own_mean(seeded: Callable[..., list[Any]]) -> None:
    noise = measure_seed_noise(list_candidates(seeded((8, 0, 0.05), (8, 1, 0.06), (16, 0, 0.50), (16, 1, 0.51))))
    assert noise is not None
    assert noise.deviation == pytest.approx(stdev([0.05, 0.06]))


def test_without_several_seeds_nothing_is_told(seeded: Callable[..., list[Any]], ended: Callable[..., Any]) -> None:
    assert measure_seed_noise(list_candidates(seeded((8, 0, 0.05), (16, 1, 0.06)))) is None
    assert measure_seed_noise(list_candidates([ended(0), ended(1)])) is None


def test_the_page_tells_it(seeded: Callable[..., list[Any]], write_sweep: Callable[..., Path]) -> None:
    page = write_page(write_sweep(seeded((8, 0, 0.05), (8, 1, 0.07)))).read_text(encoding="utf-8")
    assert "± 0.0141 (standard deviation, 2 trials of 1 settings)" in page
