"""Scatter plot of size against quality: a point for each model of a run that has both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from compress.page.drawing import ACCENT, FONT_POINTS, draw_svg, widen_axis
from compress.page.size_axis import format_size, label_points, set_size_axis
from eval.report import table
from eval.report.sources import Sources
from eval.score_key import is_distance, is_kernel_distance, least_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST_POINTS = 2
_HEIGHT_IN = 3.4


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
    text = " ".join(f"{name}: {format_size(size)}, {value:.4g}." for name, (size, value) in points.items())

    def paint(axes: Axes) -> None:
        set_size_axis(axes, [size for size, _ in points.values()])
        for size, value in points.values():
            axes.plot(size, value, "o", color=ACCENT, markersize=8)
        axes.margins(y=0.18)
        widen_axis(axes, least=least)
        axes.set_title(title, loc="left", fontsize=FONT_POINTS)
        label_points(axes, points)

    return draw_svg(paint, label=f"Scatter plot, file size against {title}. {text}", height_in=_HEIGHT_IN)
