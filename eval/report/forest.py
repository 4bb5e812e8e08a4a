"""Forest plots of gates and of distances: a row for each value, its 95 % interval as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compress.page.drawing import ACCENT, ALARM, DOUBT, INK, LINE, draw_svg, fit_name
from eval.gate.format import format_sentence
from eval.gate.verdict import LimitCheck, Verdict
from eval.report import table
from eval.report.gates import GateResult
from eval.report.naming import CONTROL
from eval.report.sources import Sources

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Marker and word say the same as the colour does.
_LOOKS: Mapping[Verdict, tuple[str, str]] = {
    "pass": (ACCENT, "o"),
    "regression": (ALARM, "X"),
    "inconclusive": (DOUBT, "D"),
}


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One value of a forest plot."""

    name: str
    value: float
    low: float
    high: float
    """End of the interval; equal to `low` where the value is exact."""
    text: str
    """Text at the right."""
    limit: float | None = None
    colour: str = ACCENT
    marker: str = "o"


def draw_forest_of_gates(gates: Mapping[str, GateResult]) -> list[str]:
    """Draw one plot for each unit, as `<svg>`, differences apart from values that have no baseline.

    Each distance has its own, since a Fréchet distance is thousands of times a kernel distance.
    """
    panels: dict[tuple[str, bool], list[tuple[str, LimitCheck]]] = {}
    for name, gate in gates.items():
        for check in gate.checks:
            kind = (check.unit or check.metric, check.difference is not None)
            panels.setdefault(kind, []).append((name, check))
    return [_draw_gate_panel(checks, several=len(gates) > 1) for checks in panels.values()]


def draw_forest_of_distances(sources: Sources) -> list[str]:
    """Draw one plot for each distance to the reference, as `<svg>`; the control comes last."""
    records = dict(sorted(sources.scores.items(), key=lambda item: item[0] == CONTROL))
    metrics = dict.fromkeys(key for record in records.values() for key in record["intervals"])
    return [
        _draw_distance_panel(
            metric, {name: record for name, record in records.items() if metric in record["intervals"]}
        )
        for metric in metrics
    ]


def _draw_gate_panel(checks: Sequence[tuple[str, LimitCheck]], *, several: bool) -> str:
    first = checks[0][1]
    compared = first.difference is not None
    # The axis names the metric where it is a distance, and the unit where it has one.
    rows = [_build_gate_row(f"{name}: {check.name}" if several else check.name, check) for name, check in checks]
    unit = first.unit or table.format_heading(first.metric)
    axis = f"candidate minus baseline, {unit}" if compared else f"candidate, {unit}"
    text = " ".join(format_sentence(check) for _, check in checks)
    return _draw_rows(rows, axis=axis, label=f"Forest plot, {axis}. {text}", zero=compared)


def _build_gate_row(name: str, check: LimitCheck) -> ForestRow:
    value = check.candidate if check.difference is None else check.difference
    colour, marker = _LOOKS[check.verdict]
    return ForestRow(
        name=name.replace("_", " "),
        value=value,
        low=check.interval.low if check.interval else value,
        high=check.interval.high if check.interval else value,
        text=check.verdict,
        limit=check.limit,
        colour=colour,
        marker=marker,
    )


def _draw_distance_panel(metric: str, records: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [_build_distance_row(name, record[metric], record["intervals"][metric]) for name, record in records.items()]
    axis = f"{table.format_heading(metric)}, lower is better"
    text = " ".join(f"{row.name}: {row.text} ({row.low:.4g} to {row.high:.4g})." for row in rows)
    return _draw_rows(rows, axis=axis, label=f"Forest plot, {axis}. {text}", zero=True)


def _build_distance_row(name: str, distance: float | Mapping[str, float], interval: Mapping[str, float]) -> ForestRow:
    cell = table.format_distance(distance)
    value = distance["mean"] if isinstance(distance, Mapping) else distance
    return ForestRow(name=name, value=value, low=interval["low"], high=interval["high"], text=cell.text)


def _draw_rows(rows: Sequence[ForestRow], *, axis: str, label: str, zero: bool) -> str:
    def paint(axes: Axes) -> None:
        if zero:
            axes.axvline(0, color=LINE, linewidth=1.2)
        for place, row in enumerate(rows):
            axes.plot([row.low, row.high], [place, place], color=row.colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(row.value, place, row.marker, color=row.colour, markersize=7)
            if row.limit is not None:
                axes.plot([row.limit] * 2, [place - 0.38, place + 0.38], color=INK, linewidth=1.6, linestyle="--")
        axes.set_yticks(range(len(rows)), labels=[fit_name(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis)
        axes.locator_params(axis="x", nbins=5)
        axes.spines["left"].set_visible(False)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(rows)), labels=[row.text for row in rows])
        right.tick_params(axis="y", length=0)
        right.spines["right"].set_visible(False)

    return draw_svg(paint, label=label, height_in=0.75 + 0.36 * len(rows))
