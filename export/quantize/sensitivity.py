"""Sensitivity to int8: each tensor and each operation's weights rounded alone, everything else float."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from compress.console.progress import progress
from compress.images import psnr_db, to_float
from export.graph.operations import Graph, Operation, Weighted
from export.graph.quantized import QuantizedGraph, dequantize_kernel
from export.interpreter.numpy_float import compute, execute_graph, run_graph

TABLE, CHART = "sensitivity.json", "sensitivity.png"
_BARS = 30


@dataclass(frozen=True, kw_only=True)
class RoundingCost:
    """The cost of rounding one tensor or kernel."""

    tensor: str
    kind: Literal["tensor", "weights"]
    """The values of the tensor, or the kernel of the operation that writes it."""
    psnr_db: float
    """PSNR to the float graph's picture, peak 2.0, with this alone rounded; infinite where nothing changes."""


def measure_sensitivity(quantized: QuantizedGraph, photos: Sequence[np.ndarray]) -> list[RoundingCost]:
    """Round one tensor or kernel at a time and measure the cost.

    Args:
        quantized: The graph and its scales, all of it in int8.
        photos: `(height, width, 3)` uint8; each costs a run of the graph in NumPy per tensor and per kernel.

    Returns:
        One cost for each tensor and kernel, the most expensive first.
    """
    batch = np.stack([to_float(photo) for photo in photos])
    graph = quantized.graph
    expected = run_graph(graph, batch)
    costs = []
    for operation in progress(graph.operations, name="sensitivity", unit="tensor"):
        name = operation.output
        rounded = psnr_db(_with_tensor_rounded(quantized, name, batch) - expected)
        costs.append(RoundingCost(tensor=name, kind="tensor", psnr_db=rounded))
        if isinstance(operation, Weighted):
            rounded = psnr_db(run_graph(_with_kernel_rounded(quantized, operation), batch) - expected)
            costs.append(RoundingCost(tensor=name, kind="weights", psnr_db=rounded))
    return sorted(costs, key=lambda cost: cost.psnr_db)


def write_sensitivity(costs: Sequence[RoundingCost], folder: Path) -> None:
    """Write `sensitivity.json`, the whole table, and `sensitivity.png`, its most expensive rows as bars."""
    # JSON has no infinity: a rounding that costs nothing has no figure.
    rows = [asdict(cost) | {"psnr_db": round(cost.psnr_db, 2) if np.isfinite(cost.psnr_db) else None} for cost in costs]
    (folder / TABLE).write_text(json.dumps({"sensitivity": rows}, indent=2) + "\n", encoding="utf-8")
    _draw([cost for cost in costs if np.isfinite(cost.psnr_db)][:_BARS], folder / CHART)


def _with_tensor_rounded(quantized: QuantizedGraph, name: str, batch: np.ndarray) -> np.ndarray:
    scale = quantized.tensors[name]

    def step(operation: Operation, *inputs: np.ndarray) -> np.ndarray:
        values = compute(operation, *inputs)
        return scale.fake_quantize(values) if operation.output == name else values

    return execute_graph(quantized.graph, batch, step, None)


def _with_kernel_rounded(quantized: QuantizedGraph, rounded: Weighted) -> Graph:
    graph = quantized.graph
    other = replace(rounded, kernel=dequantize_kernel(rounded, quantized.weights[rounded.output]))
    return replace(graph, operations=tuple(other if one is rounded else one for one in graph.operations))


def _draw(costs: Sequence[RoundingCost], path: Path) -> None:
    # Only who draws waits for matplotlib; its Figure writes a PNG without pyplot, which would look for a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1 + 0.25 * len(costs)), layout="constrained")
    axes = figure.subplots()
    # Okabe and Ito's blue and vermilion, which colour-blind people tell apart as well.
    colours = ["#D55E00" if cost.kind == "weights" else "#0072B2" for cost in costs]
    axes.barh([f"{cost.tensor} ({cost.kind})" for cost in costs], [cost.psnr_db for cost in costs], color=colours)
    axes.invert_yaxis()
    axes.set_xlabel("PSNR to the float picture with this alone in int8, dB (lower costs more)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
