"""Scales with which every runtime adds alike.

An ADD in int8 rounds `first * r1 + second * r2`, where each `r` is an addend's scale over the sum's. Every runtime has
an arithmetic of its own for it (XNNPACK fixed point with multipliers of 20 bits, onnxruntime float32), and of the
65,536 pairs of addends some come so near to a half that they are rounded apart. Where all three scales are whole
multiples of one number, and the sum's is an odd one, every sum is a multiple of 1/odd: no half is among them, and the
nearest lies 1/(2 odd) away, beyond those errors.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from export.graph.operations import Add, Graph

LARGEST_MULTIPLE = 1023
"""Bound of the multiples: of the distance to the nearest half, XNNPACK's multipliers are off by a half at most, float32
by a fifth."""
_TRIED = 400
"""Numbers that multiples are tried of."""
_MOST_WIDENED = 1.02
"""The most that a scale may grow by. Addends of very different sizes may find nothing; they keep their scales."""


def widen_for_sums(
    graph: Graph, groups: Sequence[Collection[str]], scales: Mapping[str, float], fixed: Collection[str]
) -> dict[str, float]:
    """Return by how much to widen the scales of addends and sums so that every runtime adds alike.

    Args:
        graph: A float graph.
        groups: Its tensors, by the scale that they share.
        scales: The scale of each tensor.
        fixed: Tensors whose scale is not to change.

    Returns:
        A factor from 1 to `_MOST_WIDENED` for each tensor that an addition reads or writes and whose scale may grow.
    """
    group_of = {name: number for number, members in enumerate(groups) for name in members}
    additions = [operation for operation in graph.operations if isinstance(operation, Add)]
    sums = {group_of[addition.output] for addition in additions}
    factors: dict[str, float] = {}
    for joined in _joined({group_of[name] for name in (one.output, *one.inputs)} for one in additions):
        # In the order of their scales, which is the same however the graph is written.
        numbers = sorted(joined, key=lambda number: scales[next(iter(groups[number]))])
        before = np.array([scales[next(iter(groups[number]))] for number in numbers])
        odd = np.array([number in sums for number in numbers])
        kept = np.array([any(name in fixed for name in groups[number]) for number in numbers])
        for number, factor in zip(numbers, _choose_factors(before, odd, kept), strict=True):
            factors |= dict.fromkeys(groups[number], float(factor))
    return factors


def _joined(sets: Iterable[set[int]]) -> list[set[int]]:
    """Join sets that share a member."""
    of: dict[int, set[int]] = defaultdict(set)
    for one in sets:
        whole = one.union(*(of[member] for member in one))
        of |= dict.fromkeys(whole, whole)
    return list({id(one): one for one in of.values()}.values())


def _choose_factors(scales: np.ndarray, odd: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Choose the number that multiples of widen the scales least; ones where none will do.

    Args:
        scales: `(tensors,)` float64.
        odd: `(tensors,)` bool, those of sums.
        kept: `(tensors,)` bool, those that may not change.
    """
    best, least = np.ones_like(scales), np.inf
    for base in _bases(scales, kept):
        multiples = np.where(kept, np.rint(scales / base), np.ceil(scales / base - 1e-9))
        multiples += odd & ~kept & (multiples % 2 == 0)
        factors = multiples * base / scales
        possible = (
            multiples.max() <= LARGEST_MULTIPLE
            and factors.max() <= _MOST_WIDENED
            and not (odd & (multiples % 2 == 0)).any()
            and np.abs(factors[kept] - 1).max(initial=0.0) < 1e-7
        )
        if possible and factors.mean() < least:
            best, least = np.maximum(factors, 1.0), float(factors.mean())
    return best


def _bases(scales: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Return numbers to try: those that a kept scale is a multiple of, where there is one."""
    if kept.any():
        return scales[kept][0] / np.arange(1, LARGEST_MULTIPLE + 1)
    return scales.max() / np.linspace(LARGEST_MULTIPLE / 2, LARGEST_MULTIPLE, _TRIED)
