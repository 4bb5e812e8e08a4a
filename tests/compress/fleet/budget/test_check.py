"""Verdicts on trials that nobody has trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from compress.cost import FILE_ERROR, LayerCost, predict_file_bytes
from compress.errors import UsageError
from compress.fleet.budget import check as checking
from compress.fleet.budget import costs
from compress.fleet.budget.check import Verdict, check_all
from compress.fleet.budget.config import Budgets
from compress.fleet.budget.latency import Latency
from compress.fleet.budget.shape import ShippedShape
from compress.fleet.trial import Trial
from compress.models.cost import layer_costs
from compress.models.pocket.config import PocketConfig
from compress.models.pocket_generator import build_student

BASE = "[distill]\nwidth = 48\nimage_size_px = 32\n"


def make_trial(recipe: str) -> Trial:
    return Trial(number=0, key="0" * 12, settings={}, recipe=recipe)


def check(trial: Trial, budgets: Budgets, sweep_dir: Path, *, base: str) -> Verdict:
    return check_all([trial], budgets, sweep_dir, base=base)[0]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[ShippedShape]:
    """Stand-in for the child process: one layer of 1000 weights for each channel of width; remembers what it built."""
    asked: list[ShippedShape] = []

    def build(shapes: Sequence[ShippedShape], save: Sequence[Any] = ()) -> list[list[LayerCost]]:
        asked.extend(shapes)
        return [[_row(1000 * shape.student.width)] for shape in shapes]

    monkeypatch.setattr(costs, "build_students", build)
    return asked


def _row(weights: int) -> LayerCost:
    shape = (8, 8, 16)
    return LayerCost(
        name="c", kind="Conv2D", output_shape=shape, params=weights, macs=64 * weights, kernel_weights=weights
    )


def test_a_student_costs_what_the_cost_model_says_of_it(tmp_path: Path) -> None:
    """Through the real child process, against the same model built here."""
    recipe = '[distill]\nwidth = 16\nblocks = 1\nimage_size_px = 32\nfamily = "space_to_depth"\n'
    rows = layer_costs(build_student(PocketConfig(width=16, blocks=1, image_size_px=32, family="space_to_depth")))
    assert check(make_trial(recipe), Budgets(), tmp_path, base=BASE) == Verdict(
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        size_bytes=predict_file_bytes(rows, precision="int8", io_type="float"),
    )


def test_a_trial_within_its_budgets_may_be_trained(built: list[ShippedShape], tmp_path: Path) -> None:
    verdict = check(make_trial("[distill]\nwidth = 10"), Budgets(max_bytes=20_000, max_macs=10**6), tmp_path, base=BASE)
    assert verdict.over is None
    assert (verdict.params, verdict.macs) == (10_000, 640_000)


def test_the_budget_and_the_figure_over_it_are_told(built: list[ShippedShape], tmp_path: Path) -> None:
    trials = [make_trial("[distill]\nwidth = 20")]
    by_bytes, by_macs = (
        check_all(trials, budgets, tmp_path, base=BASE)[0]
        for budgets in (Budgets(max_bytes=9999), Budgets(max_macs=999))
    )
    assert by_bytes.over == f"max_bytes = 9999: its file would take {by_bytes.size_bytes} bytes, give or take 1.5%"
    assert by_macs.over == "max_macs = 999: it would take 1280000"


def test_a_prediction_that_may_be_wrong_refuses_nothing(built: list[ShippedShape], tmp_path: Path) -> None:
    """Up to the error of the prediction the real file may still fit."""
    trial = make_trial("[distill]\nwidth = 20")
    size = check(trial, Budgets(), tmp_path, base=BASE).size_bytes
    assert size is not None
    barely, beyond = int(size / (1 + FILE_ERROR)) + 1, int(size / (1 + FILE_ERROR)) - 1
    assert check(trial, Budgets(max_bytes=barely), tmp_path, base=BASE).over is None
    assert check(trial, Budgets(max_bytes=beyond), tmp_path, base=BASE).over is not None


def test_a_shape_is_built_once_for_all_its_trials_and_commands(built: list[ShippedShape], tmp_path: Path) -> None:
    trials = [make_trial(f"[distill]\nwidth = {width}\nseed = {seed}") for width in (8, 16) for seed in (0, 1)]
    first = check_all(trials, Budgets(), tmp_path, base=BASE)
    assert check_all(trials, Budgets(), tmp_path, base=BASE) == first
    assert [shape.student.width for shape in built] == [8, 16]


def test_a_torn_record_is_made_anew(built: list[ShippedShape], tmp_path: Path) -> None:
    trial = make_trial("[distill]\nwidth = 8")
    first = check(trial, Budgets(), tmp_path, base=BASE)
    [record] = (tmp_path / costs.FOLDER).iterdir()
    record.write_text('{"params": 1', encoding="utf-8")
    assert check(trial, Budgets(), tmp_path, base=BASE) == first


@pytest.mark.parametrize(
    ("prune", "expected"),
    [
        ("max_bytes = 5000", (None, 5000)),
        ("max_macs = 7000", (7000, None)),
        ("max_bytes = 5000\nmax_macs = 7000", (7000, 5000)),
        ("max_bytes = 500000", (1_280_000, 22_519)),
    ],
)
def test_pruning_counts_as_far_as_it_goes(
    built: list[ShippedShape], tmp_path: Path, prune: str, expected: tuple[int | None, int | None]
) -> None:
    verdict = check(make_trial(f"[distill]\nwidth = 20\n[prune]\n{prune}"), Budgets(), tmp_path, base=BASE)
    assert (verdict.macs, verdict.size_bytes) == expected


def test_a_student_of_the_teachers_layers_is_known_by_what_it_is_pruned_to(
    built: list[ShippedShape], tmp_path: Path
) -> None:
    budgets, recipe = Budgets(max_bytes=4000), "[distill]\nfrom_teacher = true\n"
    assert check(make_trial(recipe), budgets, tmp_path, base=BASE) == Verdict()
    assert check(make_trial(f"{recipe}[prune]\nmax_bytes = 5000"), budgets, tmp_path, base=BASE).over is not None
    assert built == []


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[Latency]:
    """Stand-in for timing: each student gets the next of these."""
    answers: list[Latency] = []
    monkeypatch.setattr(checking, "time_ratio", lambda *_: answers.pop(0))
    return answers


def test_a_student_too_slow_is_not_trained(built: list[ShippedShape], timed: list[Latency], tmp_path: Path) -> None:
    timed += [Latency(ratio=0.6, noise=0.02), Latency(ratio=0.51, noise=0.05), Latency(ratio=0.4, noise=0.0)]
    trials = [make_trial(f"[distill]\nwidth = {width}") for width in (10, 12, 14)]
    slow, within_noise, fast = check_all(trials, Budgets(max_latency_ratio=0.5), tmp_path, base=BASE)
    assert slow.over == "max_latency_ratio = 0.5: it takes 0.60 of the reference's time, give or take 2%"
    assert (within_noise.over, fast.over) == (None, None)
    assert (slow.latency_ratio, within_noise.latency_ratio, fast.latency_ratio) == (0.6, 0.51, 0.4)


def test_a_time_that_is_too_noisy_decides_nothing(
    built: list[ShippedShape], timed: list[Latency], tmp_path: Path
) -> None:
    timed.append(Latency(ratio=9.0, noise=0.5, withheld="other work"))
    verdict = check(make_trial("[distill]\nwidth = 8"), Budgets(max_latency_ratio=0.5), tmp_path, base=BASE)
    assert (verdict.over, verdict.latency_ratio, verdict.unknown) == (None, None, "max_latency_ratio: other work")


def test_what_is_over_another_budget_is_not_timed(
    built: list[ShippedShape], timed: list[Latency], tmp_path: Path
) -> None:
    budgets = Budgets(max_macs=1, max_latency_ratio=0.5)
    assert check(make_trial("[distill]\nwidth = 8"), budgets, tmp_path, base=BASE).over is not None


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_a_ratio_that_means_nothing_is_refused(ratio: float) -> None:
    with pytest.raises(UsageError, match="max_latency_ratio"):
        Budgets(max_latency_ratio=ratio)


def test_a_reference_without_a_ratio_is_refused() -> None:
    with pytest.raises(UsageError, match="latency_reference"):
        Budgets(latency_reference="student.tflite")


def test_a_recipe_that_cannot_be_timed_asks_for_a_reference(built: list[ShippedShape], tmp_path: Path) -> None:
    base = "[distill]\nfrom_teacher = true"
    with pytest.raises(UsageError, match="latency_reference"):
        check(make_trial("[distill]\nwidth = 8"), Budgets(max_latency_ratio=0.5), tmp_path, base=base)
