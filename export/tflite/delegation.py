"""How much of a `.tflite` file the XNNPACK delegate runs, and what it leaves to slower kernels."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ai_edge_litert.interpreter import Interpreter

_DELEGATE = "DELEGATE"


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """`partitions` that the delegate took, and the names of the operators that it left behind."""

    partitions: int
    operators: int
    op_counts: Counter[str]
    """Number of the file's operators of each kind, delegated or not."""
    left_behind: tuple[str, ...]
    left_behind_at: tuple[int, ...]
    """Where they stand among the file's operators."""

    @property
    def complete(self) -> bool:
        """Whether the whole file is one partition."""
        return self.partitions == 1 and not self.left_behind

    def as_json(self) -> dict[str, Any]:
        """What the manifest holds."""
        left_behind = dict(Counter(self.left_behind))
        return {"partitions": self.partitions, "operators": self.operators, "left_behind": left_behind}


def delegate_coverage(content: bytes) -> Coverage:
    """Load a file with LiteRT's default delegate and see what really runs.

    LiteRT lists replaced operators beside the delegate's own nodes, so what runs is found by walking back from the
    output: a tensor comes from a delegate node where there is one, else from an operator that was left behind.
    """
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    delegates = [operator for operator in operators if operator["op_name"] == _DELEGATE]
    producers = {tensor: operator for operator in operators for tensor in operator["outputs"]}
    producers |= {tensor: operator for operator in delegates for tensor in operator["outputs"]}
    pending = [detail["index"] for detail in interpreter.get_output_details()]
    running: dict[int, dict] = {}
    while pending:
        operator = producers.get(pending.pop())
        if operator is not None and operator["index"] not in running:
            running[operator["index"]] = operator
            pending.extend(operator["inputs"])
    left_behind = [operator for _, operator in sorted(running.items()) if operator["op_name"] != _DELEGATE]
    return Coverage(
        partitions=len(running) - len(left_behind),
        operators=len(operators) - len(delegates),
        op_counts=Counter(operator["op_name"] for operator in operators if operator["op_name"] != _DELEGATE),
        left_behind=tuple(operator["op_name"] for operator in left_behind),
        left_behind_at=tuple(operator["index"] for operator in left_behind),
    )
