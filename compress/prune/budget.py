"""Search for the channels that each group keeps, so that the student fits a number of bytes, of MACs, or both."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from compress.cost import LayerCost, predict_int8_bytes
from compress.errors import UsageError
from compress.models.cost import layer_costs
from compress.prune.groups import Group, kernel_axes

Counts = tuple[int, ...]
"""Number of units kept in each group."""

CLOSE_ENOUGH = 0.98
"""Share of the budget that a search wants to use; below it, a few groups leave the channel multiple."""
_FINER = (2, 4, 8)
"""Divisors of the channel multiple then, and where a budget is too small for it: 8 becomes 4, 2, then 1. A single
channel of a residual trunk, which all blocks read, is up to 2.1 % of a student."""


@dataclass(frozen=True)
class StudentCost:
    """Cost of a student."""

    int8_bytes: int
    """Predicted size of its int8 .tflite."""
    macs: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits on a student's cost; None is no limit."""

    max_bytes: int | None = None
    max_macs: int | None = None

    def used(self, student_cost: StudentCost) -> float:
        """Return the larger share that is used of the two limits; 1 is full."""
        limits = ((student_cost.int8_bytes, self.max_bytes), (student_cost.macs, self.max_macs))
        return max(spent / limit for spent, limit in limits if limit is not None)

    def holds(self, student_cost: StudentCost) -> bool:
        return self.used(student_cost) <= 1


class CostModel:
    """Predicts what a student would cost with fewer channels, without building it.

    Args:
        model: The student.
        groups: Groups of this model.
    """

    def __init__(self, model: keras.Model, groups: Sequence[Group]) -> None:
        self.sizes: Counts = tuple(len(group.units) for group in groups)
        self._rows = layer_costs(model)
        self._groups = groups
        weighted = {row.name: model.get_layer(row.name) for row in self._rows if row.kernel_weights}
        self._kernels = {name: tuple(layer.kernel.shape) for name, layer in weighted.items()}
        self._axes = {name: kernel_axes(layer) for name, layer in weighted.items()}

    @property
    def whole(self) -> StudentCost:
        return self.of(self.sizes)

    def of(self, counts: Counts) -> StudentCost:
        """Return the cost of a student that keeps so many units of each group."""
        rows = [self._narrow(row, counts) for row in self._rows]
        return StudentCost(predict_int8_bytes(rows), sum(row.macs for row in rows))

    def _narrow(self, row: LayerCost, counts: Counts) -> LayerCost:
        if row.name not in self._kernels:
            return row
        shape, (reading, making) = self._kernels[row.name], self._axes[row.name]
        height, width, channels_in, channels_out = *shape[:2], shape[reading], shape[making]
        whole = height * width * channels_in * channels_out
        channels_in -= self._removed_slices(row.name, reading, counts)
        channels_out -= self._removed_slices(row.name, making, counts)
        weights = height * width * channels_in * channels_out
        # A depthwise kernel has its channels where others have their inputs, and one output for each.
        outputs = channels_in if row.kind == "DepthwiseConv2D" else channels_out
        shape = (*row.output_shape[:2], outputs)
        return replace(row, kernel_weights=weights, macs=row.macs // whole * weights, output_shape=shape)

    def _removed_slices(self, layer: str, axis: int, counts: Counts) -> int:
        return sum(
            group.slices_per_unit[layer, "kernel", axis] * (size - count)
            for group, size, count in zip(self._groups, self.sizes, counts, strict=True)
        )


def require_possible(cost_model: CostModel, budget: Budget, channel_multiple: int) -> None:
    """Check that a budget needs pruning, and that some pruning reaches it, however fine.

    Raises:
        UsageError: With the nearest budget that is possible.
    """
    whole = cost_model.whole
    if budget.holds(whole):
        raise UsageError(
            f"the student takes {whole.int8_bytes:,} bytes as int8, predicted, and {whole.macs:,} MACs, which fits "
            f"{_format_limits(budget)} already. Export it as it is, or ask for less."
        )
    finest = _multiples(channel_multiple)[-1]
    least = _smallest_cost(cost_model, finest)
    wanted = (
        ("max_bytes", budget.max_bytes, least.int8_bytes, "bytes as int8"),
        ("max_macs", budget.max_macs, least.macs, "MACs"),
    )
    for name, limit, reachable, unit in wanted:
        if limit is not None and reachable > limit:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{name} = {limit:,}, but with channel_multiple = {channel_multiple}, even in steps of {finest}, this "
                f"student cannot be pruned below {reachable:,} {unit}. Pass {flag} {reachable} or more, or distil a "
                "smaller one."
            )


def search(cost_model: CostModel, importances: Sequence[np.ndarray], budget: Budget, channel_multiple: int) -> Counts:
    """Choose how many units each group keeps.

    One threshold for all groups, the lowest that fits; then the most important steps that still fit; and, where more
    than 2 % of the budget are left, single groups off the multiple.

    Args:
        cost_model: Costs of the student.
        importances: For each group `(units,)`; comparable between groups.
        budget: A possible one, see `require_possible`.
        channel_multiple: What counts are multiples of, where a group has that many; of a finer one where the budget
            is too small for one multiple in each group.

    Returns:
        Counts that the budget holds.
    """
    channel_multiple = next(
        one for one in _multiples(channel_multiple) if budget.holds(_smallest_cost(cost_model, one))
    )
    ranked = [np.sort(scores)[::-1] for scores in importances]
    thresholds = sorted({float(score) for scores in ranked for score in scores})

    def counts_above(position: int) -> Counts:
        kept = [int(np.sum(scores > thresholds[position])) for scores in ranked]
        return tuple(
            _round_down(count, len(scores), channel_multiple) for count, scores in zip(kept, ranked, strict=True)
        )

    lowest = bisect_left(
        range(len(thresholds)), True, key=lambda place: budget.holds(cost_model.of(counts_above(place)))
    )
    counts = _add_steps(cost_model, counts_above(lowest), ranked, budget, channel_multiple)
    return _leave_multiple(cost_model, counts, budget, channel_multiple)


def off_multiple(counts: Counts, sizes: Counts, channel_multiple: int) -> list[int]:
    """Return the positions of the groups that were cut to something else than a multiple."""
    pairs = enumerate(zip(counts, sizes, strict=True))
    return [index for index, (count, size) in pairs if count != size and count % channel_multiple]


def _multiples(channel_multiple: int) -> list[int]:
    """Return the multiple and what it may be divided to, coarsest first."""
    return [channel_multiple, *(channel_multiple // part for part in _FINER if channel_multiple % part == 0)]


def _smallest_cost(cost_model: CostModel, multiple: int) -> StudentCost:
    """Return the cost of the smallest student, whose groups have one multiple each."""
    return cost_model.of(tuple(min(size, multiple) for size in cost_model.sizes))


def _format_limits(budget: Budget) -> str:
    named = (("max_bytes", budget.max_bytes), ("max_macs", budget.max_macs))
    return " and ".join(f"{name} = {limit:,}" for name, limit in named if limit is not None)


def _round_down(count: int, size: int, multiple: int) -> int:
    """Round down to a multiple, but keep a whole group whole, and none below one multiple."""
    return size if count == size else min(size, max(multiple, count // multiple * multiple))


def _next_counts(counts: Counts, sizes: Counts, multiple: int) -> Iterator[tuple[int, Counts]]:
    """Yield each group's next larger count, with the group's position."""
    for index, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        if count < size:
            larger = min(size, (count // multiple + 1) * multiple)
            yield index, (*counts[:index], larger, *counts[index + 1 :])


def _add_steps(
    cost_model: CostModel, counts: Counts, ranked: Sequence[np.ndarray], budget: Budget, multiple: int
) -> Counts:
    while True:
        gains = {
            larger: float(ranked[index][counts[index] : larger[index]].mean())
            for index, larger in _next_counts(counts, cost_model.sizes, multiple)
            if budget.holds(cost_model.of(larger))
        }
        if not gains:
            return counts
        counts = max(gains, key=lambda larger: gains[larger])


def _leave_multiple(cost_model: CostModel, counts: Counts, budget: Budget, multiple: int) -> Counts:
    """Leave the multiple where that uses more of the budget, one group at a time, the most useful one first."""
    for finer in _multiples(multiple)[1:]:
        while budget.used(cost_model.of(counts)) < CLOSE_ENOUGH:
            fitting = [
                larger
                for larger in _larger_counts(counts, cost_model.sizes, finer)
                if budget.holds(cost_model.of(larger))
            ]
            if not fitting:
                break
            counts = max(fitting, key=lambda larger: budget.used(cost_model.of(larger)))
    return counts


def _larger_counts(counts: Counts, sizes: Counts, multiple: int) -> Iterator[Counts]:
    """Yield every larger count of a single group."""
    for index, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        for larger in range((count // multiple + 1) * multiple, size + 1, multiple):
            yield (*counts[:index], larger, *counts[index + 1 :])
