"""Axis of file sizes in a scatter plot, and names beside its points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from compress.page.drawing import FONT_POINTS, fit_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LINE_POINTS = 1.3 * FONT_POINTS


def set_size_axis(axes: Axes, sizes: Sequence[int]) -> None:
    """Make the horizontal axis one of file sizes, on a logarithmic scale.

    Args:
        axes: The chart.
        sizes: Bytes of all that it shows.
    """
    low, high = _round_limits(sizes)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(_choose_ticks(low, high), labels=[format_size(tick) for tick in _choose_ticks(low, high)])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("file size")


def label_points(axes: Axes, points: Mapping[str, tuple[float, float]]) -> None:
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


def format_size(count: float) -> str:
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"
