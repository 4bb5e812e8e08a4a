"""What a `.tflite` file consists of, and how much of it the XNNPACK delegate takes."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export.tflite.delegation import delegate_coverage


@dataclass(frozen=True, kw_only=True)
class OperatorCoverage:
    """The operators of a file: `ops_delegated` of `ops_total` run in the delegate, in so many `partitions`.

    Each operator left behind costs more than itself: it runs in a slower kernel and cuts a partition in two.
    """

    ops_total: int
    ops_delegated: int
    partitions: int
    op_counts: dict[str, int]


def operator_coverage(model: Path) -> OperatorCoverage:
    """Load a file with and without LiteRT's default delegate and compare."""
    plain = Interpreter(
        model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    names = [operator["op_name"] for operator in plain._get_ops_details()]
    delegated = delegate_coverage(model.read_bytes())
    return OperatorCoverage(
        ops_total=len(names),
        ops_delegated=len(names) - len(delegated.left_behind),
        partitions=delegated.partitions,
        op_counts=dict(Counter(names).most_common()),
    )
