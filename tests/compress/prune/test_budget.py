"""Budgets: what is predicted is what surgery makes, every budget is reached, and none is overdrawn."""

from typing import get_args

import keras
import numpy as np
import pytest

from compress.cost import predict_int8_bytes
from compress.errors import UsageError
from compress.models import cost, mobile_resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.pocket_generator import Family
from compress.prune.budget import Budget, CostModel, off_multiple, require_possible, search
from compress.prune.groups import find_groups
from compress.prune.importance import score_by_weights
from compress.prune.surgery import remove_channels

SHARES = np.linspace(0.2, 0.99, 40)


@pytest.fixture(scope="module", params=get_args(Family))
def ranked(request, make_student):
    """Cost model and importances of a student of width 64 with 4 blocks.

    A separable one of width 48 ends at 20.8 %, what its 28 convolutions hold beside their weights.
    """
    student = make_student(request.param, width=64, blocks=4, side=32)
    groups = find_groups(student)
    return CostModel(student, groups), score_by_weights(student, groups, "norm")


@pytest.mark.parametrize("family", get_args(Family))
def test_the_price_list_knows_what_a_pruned_student_costs(make_student, family) -> None:
    _require_known_price(make_student(family, width=24))


def test_the_price_of_a_published_students_shape_is_known_too() -> None:
    shape = MobileResnetConfig(down=(8, 8, 16), inner=(8, 16), up=(8, 8), normalization="batch", padding="zero")
    _require_known_price(mobile_resnet_generator.build_mobile_resnet(shape, (16, 16)))


def _require_known_price(student: keras.Model) -> None:
    groups = find_groups(student)
    cost_model, counts = CostModel(student, groups), tuple(max(3, len(group.units) // 2) for group in groups)
    removed = [unit for group, count in zip(groups, counts, strict=True) for unit in group.units[count:]]
    pruned = remove_channels(student, removed)
    assert cost_model.of(counts).macs == cost.measure_cost(pruned).macs
    assert cost_model.of(counts).int8_bytes == predict_int8_bytes(cost.layer_costs(pruned))
    assert cost_model.whole.macs == cost.measure_cost(student).macs


@pytest.mark.parametrize("limit", ["max_bytes", "max_macs"])
def test_every_budget_from_a_fifth_up_is_reached_within_two_percent(ranked, limit) -> None:
    cost_model, importances = ranked
    whole = cost_model.whole.int8_bytes if limit == "max_bytes" else cost_model.whole.macs
    for share in SHARES:
        budget = Budget(**{limit: int(share * whole)})
        require_possible(cost_model, budget, 8)
        counts = search(cost_model, importances, budget, 8)
        assert 0.98 <= budget.used(cost_model.of(counts)) <= 1, share
        # Where eight channels in each group fit, no group has fewer.
        fewest = 8 if budget.holds(cost_model.of(tuple(min(size, 8) for size in cost_model.sizes))) else 1
        assert all(min(size, fewest) <= count <= size for count, size in zip(counts, cost_model.sizes, strict=True))


def test_few_groups_leave_the_multiple(ranked) -> None:
    cost_model, importances = ranked
    eight_each = cost_model.of(tuple(min(size, 8) for size in cost_model.sizes))
    for share in SHARES[SHARES > 0.3]:
        budget = Budget(max_bytes=int(share * cost_model.whole.int8_bytes))
        # Below, eight channels in each group are too many already.
        if budget.holds(eight_each):
            assert len(off_multiple(search(cost_model, importances, budget, 8), cost_model.sizes, 8)) <= 2


def test_both_budgets_hold_and_one_of_them_is_used_up(ranked) -> None:
    cost_model, importances = ranked
    both = Budget(max_bytes=cost_model.whole.int8_bytes // 2, max_macs=cost_model.whole.macs * 6 // 10)
    student_cost = cost_model.of(search(cost_model, importances, both, 8))
    assert student_cost.int8_bytes <= cost_model.whole.int8_bytes // 2
    assert student_cost.macs <= cost_model.whole.macs * 6 // 10
    assert both.used(student_cost) >= 0.98


def test_the_least_important_group_is_cut_first(ranked) -> None:
    cost_model, importances = ranked
    largest = int(np.argmax(cost_model.sizes))
    lessened = [scores * (0.01 if index == largest else 1) for index, scores in enumerate(importances)]
    counts = search(cost_model, lessened, Budget(max_bytes=int(0.97 * cost_model.whole.int8_bytes)), 8)
    assert counts[largest] < cost_model.sizes[largest]
    assert [count for index, count in enumerate(counts) if index != largest] == [
        size for index, size in enumerate(cost_model.sizes) if index != largest
    ]


def test_an_impossible_budget_is_refused_with_the_nearest_possible_one(ranked) -> None:
    cost_model, importances = ranked
    with pytest.raises(UsageError, match="max_bytes = 1,000") as refused:
        require_possible(cost_model, Budget(max_bytes=1000), 8)
    nearest = int(str(refused.value).split("--max-bytes ")[1].split()[0])
    require_possible(cost_model, Budget(max_bytes=nearest), 8)
    assert cost_model.of(search(cost_model, importances, Budget(max_bytes=nearest), 8)).int8_bytes <= nearest
    with pytest.raises(UsageError, match="max_bytes"):
        require_possible(cost_model, Budget(max_bytes=nearest - 1), 8)
    with pytest.raises(UsageError, match=r"max_macs = 1\b.*--max-macs \d+"):
        require_possible(cost_model, Budget(max_macs=1), 8)


def test_a_budget_that_the_student_fits_already_is_refused(ranked) -> None:
    cost_model, _ = ranked
    with pytest.raises(UsageError, match=r"fits max_bytes = .* already"):
        require_possible(cost_model, Budget(max_bytes=cost_model.whole.int8_bytes), 8)
