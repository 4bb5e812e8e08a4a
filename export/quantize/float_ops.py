"""The choice of operators that compute in float: those whose rounding costs the picture most.

A float operator takes roundings away: that of its own weights always; that of a tensor only where all operators that
write, move and read it are float, since an int8 reader rounds it anyway. So an operator that moves or averages values
is never float alone: between int8 neighbours it would write exact halves of a step, which runtimes round either way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compress.errors import UsageError
from export.graph.operations import Graph, Operation, Weighted
from export.graph.quantized import scale_groups
from export.quantize.sensitivity import RoundingCost

_PEAK_SQUARED = 4.0
"""Squared peak of pictures in [-1, 1]."""
_OPERATOR_BYTES = 1024
"""Most bytes that a float operator adds beside its kernel: conversions before and after it, and their tensors."""


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


def choose_float_ops(
    graph: Graph, costs: Sequence[RoundingCost], count: int, *, max_growth_bytes: int | None = None
) -> tuple[str, ...]:
    """Choose the operators that compute in float.

    Errors of single roundings are added up, as if they were independent. From each rounding on that fits, the
    one that saves most for each further operator is added, and so on; the best of these sets is taken.

    Args:
        graph: A graph, all of it in int8.
        costs: Cost of every tensor and kernel, from `measure_sensitivity`.
        count: The most operators to choose.
        max_growth_bytes: How much larger they may make the file; None for any.

    Returns:
        At most `count` operators by the tensors that they write, in the graph's order; fewer where no further one
        saves anything.
    """
    roundings = [rounding for rounding in _roundings(graph, costs) if rounding.error > 0]
    growth = {operation.output: _growth_bytes(operation) for operation in graph.operations}

    def fits(operators: frozenset[str]) -> bool:
        small = max_growth_bytes is None or sum(growth[name] for name in operators) <= max_growth_bytes
        return small and len(operators) <= count

    grown = [_grow(rounding.operators, roundings, fits) for rounding in roundings if fits(rounding.operators)]
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


def _growth_bytes(operation: Operation) -> int:
    """Return how many bytes a file grows by at most, if an operator computes in float: 4 for a weight instead of 1."""
    return _OPERATOR_BYTES + (3 * operation.kernel.size if isinstance(operation, Weighted) else 0)


def _grow(
    chosen: frozenset[str], roundings: Sequence[_Rounding], fits: Callable[[frozenset[str]], bool]
) -> frozenset[str]:
    while True:
        wider = [chosen | rounding.operators for rounding in roundings if not rounding.operators <= chosen]
        fitting = [operators for operators in wider if fits(operators)]
        if not fitting:
            return chosen
        before = _saved(chosen, roundings)
        chosen = max(fitting, key=lambda wide: (_saved(wide, roundings) - before) / len(wide - chosen))


def _saved(chosen: frozenset[str], roundings: Sequence[_Rounding]) -> float:
    return sum(rounding.error for rounding in roundings if rounding.operators <= chosen)
