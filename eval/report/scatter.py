"""Scatter plot of size against quality: a point for each model of a run that has both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval.report import table
from eval.report.drawing import ACCENT, FONT_POINTS, draw_svg, fit_name, widen_axis
from eval.report.sources import Sources
from eval.score_key import is_distance, is_kernel_distance, least_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_POINTS = 2
_STEPS = (1.0, 2.0, 5.0, 10.0)
_HEIGHT_IN = 3.4
_LINE_POINTS = 1.3 * FONT_POINTS


def draw_scatter_of_models(sources: Sources) -> str | None:
    """Draw file size against the first metric that two models have: KID, the Fréchet distance, PSNR to the teacher.

    Returns:
        An `<svg>` element; None where no metric has two models of known size.
    """
    sizes = table.collect_size_bytes(sources)
    for metric, title, values in _collect_qualities(sources):
        points = {name: (sizes[name], value) for name, value in values.items() if sizes.get(name, 0) > 0}
        if len(points) >= FEWEST_POINTS:
            return _draw_points(points, title, least=least_difference(metric))
    return None


def _collect_qualities(sources: Sources) -> list[tuple[str, str, dict[str, float]]]:
    keys = dict.fromkeys(key for record in sources.scores.values() for key in record if is_distance(key))
    # KID first: it is unbiased, so it does not fall with the number of images.
    ordered = sorted(keys, key=lambda key: not is_kernel_distance(key))
    found = []
    for key in ordered:
        values = {name: record[key] for name, record in sources.scores.items() if key in record}
        means = {name: value["mean"] if isinstance(value, Mapping) else value for name, value in values.items()}
        found.append((key, f"{table.format_heading(key)}, lower is better", means))
    decibels = {name: float(np.mean(one.psnr_db)) for name, one in sources.similarity.items() if one.psnr_db}
    return [*found, ("psnr_db", "PSNR to the teacher (dB), higher is better", decibels)]


def _draw_points(points: Mapping[str, tuple[int, float]], title: str, *, least: float) -> str:
    text = " ".join(f"{name}: {_format_bytes(size)}, {value:.4g}." for name, (size, value) in points.items())
    low, high = _round_limits([size for size, _ in points.values()])

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_xticks(_choose_ticks(low, high), labels=[_format_bytes(tick) for tick in _choose_ticks(low, high)])
        axes.set_xticks([], minor=True)
        for size, value in points.values():
            axes.plot(size, value, "o", color=ACCENT, markersize=8)
        axes.margins(y=0.18)
        widen_axis(axes, least=least)
        axes.set_xlabel("file size")
        axes.set_title(title, loc="left", fontsize=FONT_POINTS)
        _label_points(axes, points)

    return draw_svg(paint, label=f"Scatter plot, file size against {title}. {text}", height_in=_HEIGHT_IN)


def _label_points(axes: Axes, points: Mapping[str, tuple[int, float]]) -> None:
    """Name each point on the side that has room; names that would overlap are moved up."""
    low, high = axes.get_xlim()
    middle = math.sqrt(low * high)
    pixels_a_point = axes.figure.dpi / 72
    taken: dict[str, float] = {}
    for name, (size, value) in sorted(points.items(), key=lambda item: item[1][1]):
        side = "left" if size <= middle else "right"
        height = axes.transData.transform((size, value))[1] / pixels_a_point
        raised = max(height, taken.get(side, -math.inf) + _LINE_POINTS)
        taken[side] = raised
        axes.annotate(
            fit_name(name),
            (size, value),
            xytext=(9 if side == "left" else -9, raised - height),
            textcoords="offset points",
            horizontalalignment=side,
            verticalalignment="center",
        )


def _round_limits(sizes: Sequence[int]) -> tuple[float, float]:
    """Return the nearest 1, 2 or 5 times a power of ten below and above all sizes, with some room."""
    lowest, highest = min(sizes) / 1.1, max(sizes) * 1.1
    below, above = 10 ** math.floor(math.log10(lowest)), 10 ** math.floor(math.log10(highest))
    return (
        below * max(step for step in _STEPS if below * step <= lowest),
        above * min(step for step in _STEPS if above * step >= highest),
    )


def _choose_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # Over many decades the round thousands are enough, and more would run into each other.
    steps = _STEPS[:1] if high / low > 200 else _STEPS[:3]
    ticks = [step * 10**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def _format_bytes(count: float) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"
