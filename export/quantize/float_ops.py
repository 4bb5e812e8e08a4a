"""The choice of operators that compute in float: those whose rounding costs the picture most.

A float operator takes roundings away: that of its own weights always; that of a tensor only where all operators that
write, move and read it are float, since an int8 reader rounds it anyway. So an operator that moves or averages values
is never float alone: between int8 neighbours it would write exact halves of a step, which runtimes round either way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from compress.errors import UsageError
from export.graph.operations import Graph
from export.graph.quantized import scale_groups
from export.quantize.sensitivity import RoundingCost

_PEAK_SQUARED = 4.0
"""Squared peak of pictures in [-1, 1]."""


@dataclass(frozen=True)
class _Rounding:
    """A tensor or kernel that int8 rounds."""

    operators: frozenset[str]
    """Operators that all have to be float for it not to happen, each by the tensor that it writes."""
    error: float
    """Mean squared error of the picture with this rounding alone."""


def check_float_ops(count: int, graph: Graph) -> None:
    """Check that a graph has as many operators as may compute in float.

    Raises:
        UsageError: If `count` is more.
    """
    available = len(graph.operations)
    if count > available:
        raise UsageError(
            f"float_ops = {count}, but the student has {available} operators. Pass at most {available}, better a few; "
            "compress export tflite --precision fp16 keeps them all in float."
        )


def choose_float_ops(graph: Graph, costs: Sequence[RoundingCost], count: int) -> tuple[str, ...]:
    """Choose the operators that compute in float.

    Errors of single roundings are added up, as if they were independent. From each rounding on that fits, the
    one that saves most for each further operator is added, and so on; the best of these sets is taken.

    Args:
        graph: A graph, all of it in int8.
        costs: Cost of every tensor and kernel, from `measure_sensitivity`.
        count: The most operators to choose.

    Returns:
        At most `count` operators by the tensors that they write, in the graph's order; fewer where no further one
        saves anything.
    """
    roundings = [rounding for rounding in _roundings(graph, costs) if rounding.error > 0]
    starts = [rounding.operators for rounding in roundings if len(rounding.operators) <= count]
    grown = [_grow(start, roundings, count) for start in starts]
    chosen = max(grown, key=lambda one: (_saved(one, roundings), -len(one)), default=frozenset())
    return tuple(operation.output for operation in graph.operations if operation.output in chosen)


def _roundings(graph: Graph, costs: Sequence[RoundingCost]) -> list[_Rounding]:
    error = {(cost.tensor, cost.kind): _PEAK_SQUARED * 10 ** (-cost.psnr_db / 10) for cost in costs}
    found = [_Rounding(frozenset({name}), value) for (name, kind), value in error.items() if kind == "weights"]
    for group in scale_groups(graph):
        # The graph's input and output are int8 whatever is float between them.
        if not group.members & {graph.input, graph.output}:
            touching = [one.output for one in graph.operations if group.members & {one.output, *one.inputs}]
            found.append(_Rounding(frozenset(touching), sum(error[name, "tensor"] for name in group.sources)))
    return found


def _grow(chosen: frozenset[str], roundings: Sequence[_Rounding], count: int) -> frozenset[str]:
    while True:
        wider = [chosen | rounding.operators for rounding in roundings if not rounding.operators <= chosen]
        fitting = [operators for operators in wider if len(operators) <= count]
        if not fitting:
            return chosen
        before = _saved(chosen, roundings)
        chosen = max(fitting, key=lambda wide: (_saved(wide, roundings) - before) / len(wide - chosen))


def _saved(chosen: frozenset[str], roundings: Sequence[_Rounding]) -> float:
    return sum(rounding.error for rounding in roundings if rounding.operators <= chosen)
