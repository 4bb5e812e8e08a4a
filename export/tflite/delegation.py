"""The part of a `.tflite` file that the XNNPACK delegate runs, and the operators that it leaves to slower kernels."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ai_edge_litert.interpreter import Interpreter

_DELEGATE = "DELEGATE"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The delegate's share of a file."""

    partitions: int
    """Parts of the file that the delegate took."""
    operators: int
    """Operators of the file, delegated or not."""
    op_counts: Counter[str]
    """Number of operators of each kind, delegated or not."""
    undelegated: tuple[str, ...]
    """Kinds of the operators that the delegate did not take, in the file's order."""
    undelegated_positions: tuple[int, ...]
    """Their places among the file's operators."""

    @property
    def complete(self) -> bool:
        """True where the whole file is one partition."""
        return self.partitions == 1 and not self.undelegated

    def as_json(self) -> dict[str, Any]:
        """Return the entry of the manifest."""
        undelegated = dict(Counter(self.undelegated))
        return {"partitions": self.partitions, "operators": self.operators, "undelegated": undelegated}


def delegate_coverage(content: bytes) -> Coverage:
    """Load a file with LiteRT's default delegate and return the delegate's share of it."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return read_coverage(interpreter)


def read_coverage(interpreter: Interpreter) -> Coverage:
    """Return the delegate's share of a file that is loaded already, its tensors allocated."""
    outputs = [detail["index"] for detail in interpreter.get_output_details()]
    return read_listed_coverage(interpreter._get_ops_details(), outputs)


def log_undelegated(coverage: Coverage) -> None:
    """Tell which operators of a file that was written are left to slower kernels, if any."""
    if coverage.undelegated:
        counts = ", ".join(f"{count} {kind}" for kind, count in Counter(coverage.undelegated).items())
        _log.info("XNNPACK leaves %s to slower kernels", counts)


def read_listed_coverage(operators: Sequence[Mapping[str, Any]], outputs: Sequence[int]) -> Coverage:
    """Return the delegate's share of a file from what an interpreter lists.

    LiteRT lists replaced operators beside the delegate's own nodes, so what runs is found by walking back from the
    output: a tensor comes from a delegate node where there is one, else from an operator that was not delegated.

    Args:
        operators: The interpreter's own details of its operators.
        outputs: The file's output tensors.
    """
    delegates = [operator for operator in operators if operator["op_name"] == _DELEGATE]
    running = _running(operators, delegates, outputs)
    undelegated = [operator for _, operator in sorted(running.items()) if operator["op_name"] != _DELEGATE]
    return Coverage(
        partitions=len(running) - len(undelegated),
        operators=len(operators) - len(delegates),
        op_counts=Counter(operator["op_name"] for operator in operators if operator["op_name"] != _DELEGATE),
        undelegated=tuple(operator["op_name"] for operator in undelegated),
        undelegated_positions=tuple(operator["index"] for operator in undelegated),
    )


def _running(
    operators: Sequence[Mapping[str, Any]], delegates: Sequence[Mapping[str, Any]], outputs: Sequence[int]
) -> dict[int, Mapping[str, Any]]:
    """Return the operators and delegate nodes that compute the output, by their index."""
    producers = {tensor: operator for operator in operators for tensor in operator["outputs"]}
    producers |= {tensor: operator for operator in delegates for tensor in operator["outputs"]}
    pending = list(outputs)
    running: dict[int, Mapping[str, Any]] = {}
    while pending:
        operator = producers.get(pending.pop())
        if operator is not None and operator["index"] not in running:
            running[operator["index"]] = operator
            pending.extend(operator["inputs"])
    return running
