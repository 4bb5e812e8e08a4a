"""Which operators stay in float when a few may: those whose float takes the most error off the picture.

What a float operator changes is which roundings still happen. The rounding of its own weights is gone; the rounding of
a tensor is gone only where all that write, move and read it are float, since an int8 reader rounds it anyway. So what
moves or averages values is never float alone: between int8 neighbours it would write exact halves of a step, which
runtimes round either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compress.errors import UsageError
from export.graph.operations import Graph
from export.graph.quantized import scale_groups
from export.quantize.sensitivity import RoundingCost

_PEAK_SQUARED = 4.0
"""Of pictures in [-1, 1]."""


@dataclass(frozen=True)
class _Rounding:
    """Something that int8 rounds."""

    operators: frozenset[str]
    """All of these have to be float for it not to happen, each by the tensor that it writes."""
    error: float
    """Mean squared error of the picture with this rounding alone."""


def check_float_ops(count: int, graph: Graph) -> None:
    """Refuse to keep more operators in float than a graph has.

    Raises:
        UsageError: If `count` is more.
    """
    there = len(graph.operations)
    if count > there:
        raise UsageError(
            f"float_ops = {count}, but the student has {there} operators. Pass at most {there}, better a few; "
            "compress export tflite --precision fp16 keeps them all in float."
        )


def choose_float_ops(graph: Graph, costs: Sequence[RoundingCost], count: int) -> tuple[str, ...]:
    """Choose what stays in float.

    Errors of single roundings are added up, as if they were independent. From each rounding on that fits, whatever
    saves most for each further operator is added; the best end is taken.

    Args:
        graph: A graph, all of it in int8.
        costs: From `sensitivity.measure`, of every tensor and kernel.
        count: The most operators to keep.

    Returns:
        By the tensors that they write, in the graph's order: at most `count`, fewer where no further one saves
        anything.
    """
    roundings = [rounding for rounding in _roundings(graph, costs) if rounding.error > 0]
    starts = [rounding.operators for rounding in roundings if len(rounding.operators) <= count]
    ends = [_grow(start, roundings, count) for start in starts]
    kept = max(ends, key=lambda end: (_saved(end, roundings), -len(end)), default=frozenset())
    return tuple(operation.output for operation in graph.operations if operation.output in kept)


def _roundings(graph: Graph, costs: Sequence[RoundingCost]) -> list[_Rounding]:
    error = {(cost.tensor, cost.kind): _PEAK_SQUARED * 10 ** (-cost.psnr_db / 10) for cost in costs}
    found = [_Rounding(frozenset({name}), value) for (name, kind), value in error.items() if kind == "weights"]
    for group in scale_groups(graph):
        # The ends are int8 whatever is float between them.
        if not group.members & {graph.input, graph.output}:
            touching = [one.output for one in graph.operations if group.members & {one.output, *one.inputs}]
            found.append(_Rounding(frozenset(touching), sum(error[name, "tensor"] for name in group.sources)))
    return found


def _grow(kept: frozenset[str], roundings: Sequence[_Rounding], count: int) -> frozenset[str]:
    while True:
        wider = [kept | rounding.operators for rounding in roundings if not rounding.operators <= kept]
        fitting = [operators for operators in wider if len(operators) <= count]
        if not fitting:
            return kept
        before = _saved(kept, roundings)
        kept = max(fitting, key=lambda operators: (_saved(operators, roundings) - before) / len(operators - kept))


def _saved(kept: frozenset[str], roundings: Sequence[_Rounding]) -> float:
    return sum(rounding.error for rounding in roundings if rounding.operators <= kept)
