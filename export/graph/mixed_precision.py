"""The pass of mixed precision: operations that compute in float inside an int8 graph, and the casts around them.

A tensor that a float operation writes is called `NAME/float`; its own name stays that of its int8 values, so that each
scale keeps its name. Input and output stay int8 whatever computes in float: camera bytes in, screen bytes out.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from export.graph.operations import Dequantize, Graph, Operation, Quantize

_FLOAT = "/float"


def insert_quantize_dequantize(graph: Graph, float_ops: Collection[str]) -> Graph:
    """Put a Dequantize before each run of float operations and a Quantize behind it, once for each tensor.

    An int8 file holds operators of both types only with such casts between them.

    Args:
        graph: A graph without casts.
        float_ops: The operations that compute in float, each by the tensor that it writes.

    Returns:
        A graph of the same input and output, both int8; the graph itself where nothing computes in float.
    """
    return replace(graph, operations=tuple(_with_casts(graph, float_ops))) if float_ops else graph


def _with_casts(graph: Graph, float_ops: Collection[str]) -> Iterator[Operation]:
    written = {graph.input}
    for operation in graph.operations:
        suffix = _FLOAT if operation.output in float_ops else ""
        for name in operation.inputs:
            if name + suffix not in written:
                yield _cast(graph, name, to_float=bool(suffix))
                written.add(name + suffix)
        inputs = tuple(name + suffix for name in operation.inputs)
        yield replace(operation, inputs=inputs, output=operation.output + suffix)
        written.add(operation.output + suffix)
    if graph.output not in written:
        yield _cast(graph, graph.output, to_float=False)


def _cast(graph: Graph, name: str, *, to_float: bool) -> Operation:
    shape = graph.shapes[name]
    if to_float:
        return Dequantize(inputs=(name,), output=name + _FLOAT, shape=shape)
    return Quantize(inputs=(name + _FLOAT,), output=name, shape=shape)
