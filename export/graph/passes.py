"""The graph passes, in the order in which they run.

A pass rewrites a graph into one that computes the same picture. `lower` runs `GENERAL`, so that every target gets the
result; the TFLite export runs `TFLITE` on top, before any range is chosen; Core ML takes the graph as it is. Once int8
has its ranges, `mixed_precision` puts casts around the operations that compute in float.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial

from export.graph.border_pad import expand_border_pads
from export.graph.mixed_precision import insert_quantize_dequantize
from export.graph.operations import Graph
from export.graph.shuffles import separate_activations, shuffles_as_convolutions, split_wide_shuffles
from export.graph.simplify import (
    cast_to_float32,
    fold_gains,
    fuse_activations,
    fuse_padding,
    rename_output,
    split_identities,
)

Pass = Callable[[Graph], Graph]

GENERAL: tuple[Pass, ...] = (
    fold_gains,
    fuse_activations,
    fuse_padding,
    split_identities,
    rename_output,
    cast_to_float32,
)
"""Passes of every generator."""
TFLITE: tuple[Pass, ...] = (expand_border_pads,)
"""Further passes of a graph that becomes a `.tflite` file."""
SHUFFLES_AS_CONVOLUTIONS: tuple[Pass, ...] = (split_wide_shuffles, shuffles_as_convolutions)
"""Further passes for a runtime without pixel shuffles."""
SEPARATE_ACTIVATIONS: tuple[Pass, ...] = (separate_activations,)
"""Further passes for a runtime without activations fused into transposed convolutions."""


def mixed_precision(float_ops: Collection[str]) -> tuple[Pass, ...]:
    """Return the passes of an int8 graph in which some operations compute in float.

    Args:
        float_ops: The operations that compute in float, each by the tensor that it writes; may be empty.
    """
    return (partial(insert_quantize_dequantize, float_ops=float_ops),)


def apply_passes(graph: Graph, passes: Iterable[Pass]) -> Graph:
    """Run passes over a graph, one after the other."""
    for rewrite in passes:
        graph = rewrite(graph)
    return graph
