"""The operators of a `.tflite` file: kind, output, the delegates that run it, and its time by itself."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.delegates.operators import holds_data, present_inputs, read_operators
from export.delegates.table import DELEGATES
from export.interpreter.open_file import fill_inputs
from export.tflite.delegation import delegate_coverage
from export.tflite.file import pack_model

_RUNS, _ENOUGH_MS = 15, 200.0
"""An operator's time is the least of `_RUNS` runs, or of fewer that take `_ENOUGH_MS`. It is the calling thread's time
on the processor: an operator that takes longer than a turn of the scheduler would never run without other work in
it."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a file."""

    position: int
    code: str
    version: int
    dtype: str
    """Type of the tensor that it writes."""
    shape: tuple[int, ...]
    """Shape of the tensor that it writes; -1 for a side that is chosen when the file is run."""
    runs_in: dict[str, bool] = field(default_factory=dict)
    """By delegate, whether it runs the operator: `xnnpack` measured, the others by their sources."""
    refused_by: dict[str, str] = field(default_factory=dict)
    """By each delegate of a table that does not run it, the reason."""
    at_load: bool = False
    """True where it reads constants alone, which a delegate computes once."""
    latency_ms: float | None = None
    """Time by itself, one thread, LiteRT's default delegate; None where it was not measured or runs at load."""


def list_operators(content: bytes, *, timed: bool = False) -> list[Operator]:
    """Read a file's operators in the order in which they run.

    Args:
        content: A `.tflite` file; of one of several sizes, the usual one is read.
        timed: Whether to cut each operator into a file of its own and time it, which takes seconds.

    Raises:
        ValueError: If it is no such file.
        RuntimeError: If LiteRT lacks one of its operators.
    """
    # LiteRT first: it refuses a torn file, where the schema's classes would read on.
    undelegated = set(delegate_coverage(content).undelegated_positions)
    model = schema.ModelT.InitFromPackedBuf(content)
    found = []
    for operator in read_operators(model):
        refusals = {each.name: operator.refusal(each) for each in DELEGATES}
        runs_in = {"xnnpack": operator.position not in undelegated}
        runs_in |= {delegate: reason is None for delegate, reason in refusals.items()}
        found.append(
            Operator(
                position=operator.position,
                code=operator.code,
                version=operator.version,
                dtype=operator.dtype,
                shape=operator.shape,
                runs_in=runs_in,
                refused_by={delegate: reason for delegate, reason in refusals.items() if reason is not None},
                at_load=operator.at_load,
                latency_ms=_time(extract_operator(model, operator.position))
                if timed and not operator.at_load
                else None,
            )
        )
    return found


def extract_operator(model: Any, position: int) -> bytes:
    """Write one operator as a file of its own, with its constants and the operators that unpack them.

    Args:
        model: A `schema.ModelT` of one subgraph.
        position: The operator's place in that subgraph.
    """
    graph = model.subgraphs[0]
    wanted = graph.operators[position]
    constant = {index for index, tensor in enumerate(graph.tensors) if holds_data(model, tensor)}
    unpacking = [
        operator
        for operator in graph.operators[:position]
        if _reads_constants(operator, constant) and set(operator.outputs) & set(wanted.inputs)
    ]
    computed = {index for operator in unpacking for index in operator.outputs}
    operators = [*unpacking, wanted]
    tensors = sorted({index for operator in operators for index in [*present_inputs(operator), *operator.outputs]})
    piece = schema.SubGraphT()
    piece.name, piece.operators = "main", []
    piece.inputs = [tensors.index(index) for index in present_inputs(wanted) if index not in constant | computed]
    piece.outputs = [tensors.index(index) for index in wanted.outputs]
    cut = schema.ModelT()
    cut.version, cut.subgraphs, cut.operatorCodes = model.version, [piece], model.operatorCodes
    cut.buffers, piece.tensors = [schema.BufferT()], []
    for index in tensors:
        piece.tensors.append(_moved(graph.tensors[index], buffer=len(cut.buffers) if index in constant else 0))
        if index in constant:
            cut.buffers.append(model.buffers[graph.tensors[index].buffer])
    for operator in operators:
        piece.operators.append(_renumbered(operator, tensors))
    return pack_model(cut)


def _reads_constants(operator: Any, constant: Iterable[int]) -> bool:
    return set(present_inputs(operator)) <= set(constant)


def _moved(tensor: Any, *, buffer: int) -> Any:
    moved = schema.TensorT()
    moved.__dict__.update(tensor.__dict__)
    moved.buffer = buffer
    return moved


def _renumbered(operator: Any, tensors: list[int]) -> Any:
    renumbered = schema.OperatorT()
    renumbered.__dict__.update(operator.__dict__)
    renumbered.inputs = [tensors.index(index) if index >= 0 else -1 for index in operator.inputs]
    renumbered.outputs = [tensors.index(index) for index in operator.outputs]
    return renumbered


def _time(content: bytes) -> float:
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    fill_inputs(interpreter)
    interpreter.invoke()
    latencies: list[float] = []
    while len(latencies) < _RUNS and sum(latencies) < _ENOUGH_MS:
        started = time.thread_time_ns()
        interpreter.invoke()
        latencies.append((time.thread_time_ns() - started) / 1e6)
    return min(latencies)
