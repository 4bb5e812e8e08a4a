"""Plots of latency and memory over size and width, as PNG on log axes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.timing.noise import MAX_WAITING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind people tell apart as well; the teacher's is vermilion.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00")
_MARKERS = "osD^v"
_BYTES_PER_MB = 1e6


def draw_points(points: Sequence[Mapping[str, Any]], over: str, label: str) -> "Figure":
    """Draw latency and peak memory side by side, a line for each model, a bar from its fastest round to its slowest.

    Args:
        points: Points of `benchmarks.published.untrained.sweeps`.
        over: Their key on the x axis.
        label: Label of the x axis.
    """
    # Imported here: only drawing waits for matplotlib. Figure writes a PNG without pyplot, which would need a screen.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    latency, memory = figure.subplots(1, 2)
    models = dict.fromkeys(point["model"] for point in points)
    for model, colour, marker in zip(models, _COLOURS, _MARKERS, strict=False):
        own = [point for point in points if point["model"] == model]
        style: Any = {"color": colour, "marker": marker, "markersize": 5, "linewidth": 1.8}
        at = [point[over] for point in own]
        memory.plot(at, [point["peak_memory_bytes"] / _BYTES_PER_MB for point in own], **style)
        medians = [point["latency_ms"]["median"] for point in own]
        least = [point["latency_ms"]["median"] - point["latency_ms"]["min"] for point in own]
        most = [point["latency_ms"]["max"] - point["latency_ms"]["median"] for point in own]
        latency.errorbar(at, medians, yerr=[least, most], capsize=2, elinewidth=0.8, label=model, **style)
    for axes, title in ((latency, "median latency, ms"), (memory, "peak memory, MB")):
        _format_axes(axes, title, label, sorted({point[over] for point in points}))
    if note := _disturbance_note(points):
        figure.suptitle(note, fontsize="small")
    figure.legend(loc="outside lower center", frameon=False, fontsize="small", ncols=len(_COLOURS))
    return figure


def _format_axes(axes: "Axes", title: str, label: str, ticks: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(label)
    axes.set_title(title, loc="left", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(linewidth=0.5, alpha=0.4)


def _disturbance_note(points: Sequence[Mapping[str, Any]]) -> str | None:
    worst = max((point["waiting"] or 0 for point in points), default=0)
    if worst <= MAX_WAITING:
        return None
    return f"not to be quoted: other work held the processor for up to {worst:.0%} of the time"
