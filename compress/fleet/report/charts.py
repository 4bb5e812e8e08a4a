"""Charts of a sweep: cost against quality on held-back photos, the Pareto front and the chosen marked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress.page.drawing import ACCENT, DOUBT, FONT_POINTS, QUIET, draw_svg
from compress.page.size_axis import set_size_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT_IN = 3.6
_TITLE = "KID on held-back training photos, lower is better"


@dataclass(frozen=True, kw_only=True)
class Point:
    """One student in a chart."""

    name: str
    number: int
    """What it is labelled with, where it is on the front."""
    cost: float
    """Bytes, or milliseconds."""
    kid: float
    spread: float
    is_finished: bool
    """Whether it is trained to its end, or was stopped on its way."""


def draw_sizes(
    points: Sequence[Point], *, front: Collection[str], chosen: Collection[str], teacher: float | None
) -> str:
    """Draw file size against quality as an `<svg>` element.

    Args:
        points: At least one.
        front: Names of the points on the Pareto front.
        chosen: Names of those that were chosen.
        teacher: KID of the teacher's images of the same photos, where it is known.
    """
    sizes = [round(point.cost) for point in points]
    return _draw(points, front, chosen, teacher, "file size", lambda axes: set_size_axis(axes, sizes))


def draw_latencies(
    points: Sequence[Point], *, front: Collection[str], chosen: Collection[str], teacher: float | None
) -> str:
    """Draw latency against quality as an `<svg>` element; see `draw_sizes`."""

    def set_axis(axes: Axes) -> None:
        axes.set_xlabel("latency on this machine, median (ms)")
        axes.set_xlim(0, 1.1 * max(point.cost for point in points))

    return _draw(points, front, chosen, teacher, "latency", set_axis)


def _draw(
    points: Sequence[Point],
    front: Collection[str],
    chosen: Collection[str],
    teacher: float | None,
    cost: str,
    set_axis: Callable[[Axes], None],
) -> str:
    def paint(axes: Axes) -> None:
        set_axis(axes)
        for point in points:
            _draw_point(axes, point, is_front=point.name in front, is_chosen=point.name in chosen)
        _draw_front(axes, [point for point in points if point.name in front])
        if teacher is not None:
            axes.axhline(teacher, color=QUIET, linestyle="--", linewidth=1.0)
            axes.annotate(
                "teacher", (1, teacher), xycoords=("axes fraction", "data"), xytext=(0, 2), textcoords="offset points",
                horizontalalignment="right", color=QUIET,
            )  # fmt: skip
        axes.margins(y=0.14)
        axes.set_title(_TITLE, loc="left", fontsize=FONT_POINTS)

    text = " ".join(f"{point.name}: {cost} {point.cost:.4g}, KID {point.kid:.4f}." for point in points)
    return draw_svg(paint, label=f"Scatter plot, {cost} against {_TITLE}. {text}", height_in=_HEIGHT_IN)


def _draw_point(axes: Axes, point: Point, *, is_front: bool, is_chosen: bool) -> None:
    colour = ACCENT if is_front else QUIET
    if is_front:
        axes.errorbar(point.cost, point.kid, yerr=point.spread, color=colour, linewidth=1.0, alpha=0.5)
        axes.annotate(str(point.number), (point.cost, point.kid), xytext=(7, 5), textcoords="offset points")
    face = colour if point.is_finished else "none"
    axes.plot(point.cost, point.kid, "o", color=colour, markerfacecolor=face, markersize=7 if is_front else 5)
    if is_chosen:
        axes.plot(point.cost, point.kid, "o", color=DOUBT, markerfacecolor="none", markersize=13, markeredgewidth=1.6)


def _draw_front(axes: Axes, front: Sequence[Point]) -> None:
    """Draw the front as steps: between two of its points, nothing is better than the cheaper one."""
    ordered = sorted(front, key=lambda point: (point.cost, -point.kid))
    if len(ordered) > 1:
        axes.step(
            [point.cost for point in ordered], [point.kid for point in ordered], where="post", color=ACCENT,
            linewidth=1.2, alpha=0.6,
        )  # fmt: skip
