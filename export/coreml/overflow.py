"""Tensors that come near to the largest float16: measured on photos, recorded, and left in float32."""

from collections.abc import Iterable, Mapping

import numpy as np

from compress.images import to_float
from export.graph.operations import Graph
from export.interpreter.numpy_float import run_graph

FLOAT16_LARGEST = float(np.finfo(np.float16).max)
NEAR = FLOAT16_LARGEST / 4
"""Magnitude from which a tensor stays in float32: another photo may well double what a handful of photos showed, and
inside a kernel sums may pass through larger values than they end with."""


def measure_activations(graph: Graph, photos: Iterable[np.ndarray]) -> dict[str, float]:
    """Run photos through the float graph and return the largest magnitude in each tensor.

    Args:
        graph: A float graph.
        photos: `(height, width, 3)` uint8, at least one.

    Returns:
        Magnitude by the name of each tensor; not a number where any photo made one.
    """
    largest: dict[str, float] = {}

    def note(name: str, values: np.ndarray) -> None:
        # Python's own max() drops what is not a number.
        largest[name] = float(np.maximum(largest.get(name, 0.0), np.abs(values).max()))

    for photo in photos:
        run_graph(graph, to_float(photo)[np.newaxis], note)
    return largest


def find_overflows(largest: Mapping[str, float]) -> frozenset[str]:
    """Return the tensors that float16 is too narrow for."""
    return frozenset(name for name, value in largest.items() if not value < NEAR)
