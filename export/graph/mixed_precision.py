"""Operations that compute in float inside an int8 graph, and the changes of type around them.

A tensor that an island writes is called `NAME/float`; its own name stays that of its int8 values, so that each scale
keeps its name. The ends stay int8 whatever is kept in float: camera bytes in, screen bytes out.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from export.graph.operations import Dequantize, Graph, Operation, Quantize

_FLOAT = "/float"


def insert_float_islands(graph: Graph, float_ops: Collection[str]) -> Graph:
    """Put a Dequantize before each island of float operations and a Quantize behind it, once for each tensor.

    Args:
        graph: Without islands.
        float_ops: The operations that compute in float, each by the tensor that it writes.

    Returns:
        A graph of the same input and output, both int8; the graph itself where nothing is kept.
    """
    return replace(graph, operations=tuple(_spell(graph, float_ops))) if float_ops else graph


def _spell(graph: Graph, float_ops: Collection[str]) -> Iterator[Operation]:
    there = {graph.input}
    for operation in graph.operations:
        own = _FLOAT if operation.output in float_ops else ""
        for name in operation.inputs:
            if name + own not in there:
                yield _change(graph, name, to_float=bool(own))
                there.add(name + own)
        yield replace(operation, inputs=tuple(name + own for name in operation.inputs), output=operation.output + own)
        there.add(operation.output + own)
    if graph.output not in there:
        yield _change(graph, graph.output, to_float=False)


def _change(graph: Graph, name: str, *, to_float: bool) -> Operation:
    shape = graph.shapes[name]
    if to_float:
        return Dequantize(inputs=(name,), output=name + _FLOAT, shape=shape)
    return Quantize(inputs=(name + _FLOAT,), output=name, shape=shape)
