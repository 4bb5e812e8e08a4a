"""Training curves: a metric over the steps, as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compress.page.drawing import ACCENT, DOUBT, FONT_POINTS, draw_svg, fit_name, widen_axis
from eval.report.table import format_heading
from eval.report.trainings import Curve, Line
from eval.score_key import is_distance, least_difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (ACCENT, DOUBT)
_HEIGHT_IN = 2.8
_PSNR = "PSNR to the teacher on held-back photos (dB), higher is better"


def draw_curve(name: str, curve: Curve) -> str:
    """Draw a curve as an `<svg>` element: dots and line, a band of one spread, the untouched inputs' value dashed."""
    title = f"{format_heading(curve.metric)}, lower is better" if is_distance(curve.metric) else _PSNR

    def paint(axes: Axes) -> None:
        for line, colour in zip(curve.lines, _COLOURS, strict=False):
            _draw_line(axes, line, colour)
        axes.set_xlim(left=0)
        # Room at the right for the names that stand at the lines' ends.
        axes.margins(x=0.0, y=0.1)
        widen_axis(axes, least=least_difference(curve.metric))
        axes.set_xlabel("training step")
        axes.set_title(f"{fit_name(name)}: {title}", loc="left", fontsize=FONT_POINTS)

    text = " ".join(_format_line(line) for line in curve.lines)
    return draw_svg(paint, label=f"Training curve of {name}, {title}. {text}", height_in=_HEIGHT_IN)


def _draw_line(axes: Axes, line: Line, colour: str) -> None:
    if line.spreads is not None:
        low = [value - spread for value, spread in zip(line.values, line.spreads, strict=True)]
        high = [value + spread for value, spread in zip(line.values, line.spreads, strict=True)]
        axes.fill_between(line.steps, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(line.steps, line.values, "o-", color=colour, linewidth=1.8, markersize=3.5)
    if line.name:
        axes.annotate(
            line.name, (line.steps[-1], line.values[-1]), xytext=(6, 0), textcoords="offset points",
            verticalalignment="center", color=colour, annotation_clip=False,
        )  # fmt: skip
    if line.control is not None:
        axes.axhline(line.control, color=colour, linestyle="--", linewidth=1.2)


def _format_line(line: Line) -> str:
    name = f"{line.name}: " if line.name else ""
    control = "" if line.control is None else f"; untouched inputs {line.control:.4g}"
    return (
        f"{name}{line.values[0]:.4g} at step {line.steps[0]}, {line.values[-1]:.4g} at step {line.steps[-1]}, "
        f"from {min(line.values):.4g} to {max(line.values):.4g}{control}."
    )
