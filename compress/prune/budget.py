"""How many channels each group keeps, so that the student fits a number of bytes, of MACs, or both."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np

from compress import cost
from compress.cost import LayerCost
from compress.errors import UsageError
from compress.prune.groups import Group, kernel_axes

Counts = tuple[int, ...]
"""For each group, how many of its units are kept."""

CLOSE_ENOUGH = 0.98
"""Share of the budget that a search wants to use; below it, a few groups leave the channel multiple."""
_FINER = (2, 4, 8)
"""What the channel multiple is divided by then, as it is where a budget is too small for it: 8 becomes 4, 2, then 1.
A single channel of a residual trunk, which all blocks read, is up to 2.1 % of a student."""


@dataclass(frozen=True)
class StudentCost:
    """What a student costs."""

    int8_bytes: int
    """Of its int8 .tflite, predicted."""
    macs: int


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What a student may cost; None is no limit."""

    max_bytes: int | None = None
    max_macs: int | None = None

    def used(self, price: StudentCost) -> float:
        """The larger share that is used of the two limits; 1 is full."""
        limits = ((price.int8_bytes, self.max_bytes), (price.macs, self.max_macs))
        return max(spent / limit for spent, limit in limits if limit is not None)

    def holds(self, price: StudentCost) -> bool:
        return self.used(price) <= 1


class CostModel:
    """What a student would cost with fewer channels, without building it.

    Args:
        model: The student.
        groups: Of this model.
    """

    def __init__(self, model: keras.Model, groups: Sequence[Group]) -> None:
        self.sizes: Counts = tuple(len(group.units) for group in groups)
        self._rows = cost.layer_costs(model)
        self._groups = groups
        weighted = {row.name: model.get_layer(row.name) for row in self._rows if row.kernel_weights}
        self._kernels = {name: tuple(layer.kernel.shape) for name, layer in weighted.items()}
        self._axes = {name: kernel_axes(layer) for name, layer in weighted.items()}

    @property
    def whole(self) -> StudentCost:
        return self.of(self.sizes)

    def of(self, counts: Counts) -> StudentCost:
        """The price of a student that keeps so many units of each group."""
        rows = [self._narrowed(row, counts) for row in self._rows]
        return StudentCost(cost.predict_int8_bytes(rows), sum(row.macs for row in rows))

    def _narrowed(self, row: LayerCost, counts: Counts) -> LayerCost:
        if row.name not in self._kernels:
            return row
        shape, (reading, making) = self._kernels[row.name], self._axes[row.name]
        height, width, channels_in, channels_out = *shape[:2], shape[reading], shape[making]
        whole = height * width * channels_in * channels_out
        channels_in -= self._gone(row.name, reading, counts)
        channels_out -= self._gone(row.name, making, counts)
        weights = height * width * channels_in * channels_out
        # A depthwise kernel has its channels where others have their inputs, and one output for each.
        outputs = channels_in if row.kind == "DepthwiseConv2D" else channels_out
        shape = (*row.output_shape[:2], outputs)
        return replace(row, kernel_weights=weights, macs=row.macs // whole * weights, output_shape=shape)

    def _gone(self, layer: str, axis: int, counts: Counts) -> int:
        return sum(
            group.slices_per_unit[layer, "kernel", axis] * (size - count)
            for group, size, count in zip(self._groups, self.sizes, counts, strict=True)
        )


def require_possible(prices: CostModel, budget: Budget, channel_multiple: int) -> None:
    """Refuse a budget that needs no pruning, and one that no pruning reaches, however fine.

    Raises:
        UsageError: With the nearest budget that is possible.
    """
    whole = prices.whole
    if budget.holds(whole):
        raise UsageError(
            f"the student takes {whole.int8_bytes:,} bytes as int8, predicted, and {whole.macs:,} MACs, which fits "
            f"{_limits(budget)} already. Export it as it is, or ask for less."
        )
    finest = _multiples(channel_multiple)[-1]
    least = _least(prices, finest)
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


def search(prices: CostModel, importances: Sequence[np.ndarray], budget: Budget, channel_multiple: int) -> Counts:
    """Choose how many units each group keeps.

    One threshold for all groups, the lowest that fits; then the most important steps that still fit; and, where more
    than 2 % of the budget are left, single groups off the multiple.

    Args:
        prices: Of the student.
        importances: For each group `(units,)`; comparable between groups.
        budget: A possible one, see `require_possible`.
        channel_multiple: What counts are multiples of, where a group has that many; of a finer one where the budget
            is too small for one multiple in each group.

    Returns:
        Counts that the budget holds.
    """
    channel_multiple = next(one for one in _multiples(channel_multiple) if budget.holds(_least(prices, one)))
    ranked = [np.sort(scores)[::-1] for scores in importances]
    thresholds = sorted({float(score) for scores in ranked for score in scores})

    def counts_above(position: int) -> Counts:
        kept = [int(np.sum(scores > thresholds[position])) for scores in ranked]
        return tuple(_rounded(count, len(scores), channel_multiple) for count, scores in zip(kept, ranked, strict=True))

    lowest = bisect_left(range(len(thresholds)), True, key=lambda place: budget.holds(prices.of(counts_above(place))))
    counts = _filled(prices, counts_above(lowest), ranked, budget, channel_multiple)
    return _closed(prices, counts, budget, channel_multiple)


def off_multiple(counts: Counts, sizes: Counts, channel_multiple: int) -> list[int]:
    """Positions of the groups that were cut to something else than a multiple."""
    pairs = enumerate(zip(counts, sizes, strict=True))
    return [index for index, (count, size) in pairs if count != size and count % channel_multiple]


def _multiples(channel_multiple: int) -> list[int]:
    """The multiple and what it may be divided to, coarsest first."""
    return [channel_multiple, *(channel_multiple // part for part in _FINER if channel_multiple % part == 0)]


def _least(prices: CostModel, multiple: int) -> StudentCost:
    """The price of the smallest student whose groups have one multiple each."""
    return prices.of(tuple(min(size, multiple) for size in prices.sizes))


def _limits(budget: Budget) -> str:
    named = (("max_bytes", budget.max_bytes), ("max_macs", budget.max_macs))
    return " and ".join(f"{name} = {limit:,}" for name, limit in named if limit is not None)


def _rounded(count: int, size: int, multiple: int) -> int:
    """Down to a multiple, but a whole group stays whole, and none goes below one multiple."""
    return size if count == size else min(size, max(multiple, count // multiple * multiple))


def _steps_up(counts: Counts, sizes: Counts, multiple: int) -> Iterator[tuple[int, Counts]]:
    """Each group's next larger count, with the group's position."""
    for index, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        if count < size:
            larger = min(size, (count // multiple + 1) * multiple)
            yield index, (*counts[:index], larger, *counts[index + 1 :])


def _filled(prices: CostModel, counts: Counts, ranked: Sequence[np.ndarray], budget: Budget, multiple: int) -> Counts:
    while True:
        gains = {
            larger: float(ranked[index][counts[index] : larger[index]].mean())
            for index, larger in _steps_up(counts, prices.sizes, multiple)
            if budget.holds(prices.of(larger))
        }
        if not gains:
            return counts
        counts = max(gains, key=lambda larger: gains[larger])


def _closed(prices: CostModel, counts: Counts, budget: Budget, multiple: int) -> Counts:
    """Leave the multiple where that uses more of the budget, one group at a time, the most useful one first."""
    for finer in _multiples(multiple)[1:]:
        while budget.used(prices.of(counts)) < CLOSE_ENOUGH:
            fitting = [larger for larger in _climbs(counts, prices.sizes, finer) if budget.holds(prices.of(larger))]
            if not fitting:
                break
            counts = max(fitting, key=lambda larger: budget.used(prices.of(larger)))
    return counts


def _climbs(counts: Counts, sizes: Counts, multiple: int) -> Iterator[Counts]:
    """Every larger count of a single group."""
    for index, (count, size) in enumerate(zip(counts, sizes, strict=True)):
        for larger in range((count // multiple + 1) * multiple, size + 1, multiple):
            yield (*counts[:index], larger, *counts[index + 1 :])
