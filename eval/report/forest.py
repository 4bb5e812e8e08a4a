"""Forest plots: a row for each value, its 95 % interval as a bar; of gates and, without one, of distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eval.gate import format
from eval.gate.verdict import Check, Verdict
from eval.report import table
from eval.report.drawing import ACCENT, ALARM, DOUBT, INK, LINE, draw, shown
from eval.report.gates import Gate
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
class Row:
    """One value of a forest plot."""

    name: str
    value: float
    low: float
    high: float
    """Equal to `low` where the value is exact."""
    said: str
    """What stands at the right."""
    limit: float | None = None
    colour: str = ACCENT
    marker: str = "o"


def of_gates(gates: Mapping[str, Gate]) -> list[str]:
    """One plot for each unit, as `<svg>`: differences apart from values that have no baseline, and each distance for
    itself, since a Fréchet distance is thousands of times a kernel distance.
    """
    panels: dict[tuple[str, bool], list[tuple[str, Check]]] = {}
    for name, gate in gates.items():
        for check in gate.checks:
            kind = (check.unit or check.metric, check.difference is not None)
            panels.setdefault(kind, []).append((name, check))
    return [_gate_panel(checks, several=len(gates) > 1) for checks in panels.values()]


def of_distances(sources: Sources) -> list[str]:
    """One plot for each distance to the reference, as `<svg>`; the control comes last."""
    records = dict(sources.scores)
    if control := table.control(sources):
        records[table.CONTROL] = control
    metrics = dict.fromkeys(key for record in records.values() for key in record["intervals"])
    return [
        _distance_panel(metric, {name: record for name, record in records.items() if metric in record["intervals"]})
        for metric in metrics
    ]


def _gate_panel(checks: Sequence[tuple[str, Check]], *, several: bool) -> str:
    first = checks[0][1]
    compared = first.difference is not None
    # Of a distance the metric's name stands under the axis, of decibels that of each row.
    rows = [_gate_row(f"{name}: {check.name}" if several else check.name, check) for name, check in checks]
    unit = first.unit or table.heading(first.metric)
    axis = f"candidate minus baseline, {unit}" if compared else f"candidate, {unit}"
    said = " ".join(format.sentence(check) for _, check in checks)
    return _plot(rows, axis=axis, label=f"Forest plot, {axis}. {said}", zero=compared)


def _gate_row(name: str, check: Check) -> Row:
    value = check.candidate if check.difference is None else check.difference
    colour, marker = _LOOKS[check.verdict]
    return Row(
        name=name.replace("_", " "),
        value=value,
        low=check.interval.low if check.interval else value,
        high=check.interval.high if check.interval else value,
        said=check.verdict,
        limit=check.limit,
        colour=colour,
        marker=marker,
    )


def _distance_panel(metric: str, records: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [_distance_row(name, record[metric], record["intervals"][metric]) for name, record in records.items()]
    axis = f"{table.heading(metric)}, lower is better"
    said = " ".join(f"{row.name}: {row.said} ({row.low:.4g} to {row.high:.4g})." for row in rows)
    return _plot(rows, axis=axis, label=f"Forest plot, {axis}. {said}", zero=True)


def _distance_row(name: str, distance: float | Mapping[str, float], interval: Mapping[str, float]) -> Row:
    cell = table.distance_cell(distance)
    value = distance["mean"] if isinstance(distance, Mapping) else distance
    return Row(name=name, value=value, low=interval["low"], high=interval["high"], said=cell.text)


def _plot(rows: Sequence[Row], *, axis: str, label: str, zero: bool) -> str:
    def paint(axes: Axes) -> None:
        if zero:
            axes.axvline(0, color=LINE, linewidth=1.2)
        for place, row in enumerate(rows):
            axes.plot([row.low, row.high], [place, place], color=row.colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(row.value, place, row.marker, color=row.colour, markersize=7)
            if row.limit is not None:
                axes.plot([row.limit] * 2, [place - 0.38, place + 0.38], color=INK, linewidth=1.6, linestyle="--")
        axes.set_yticks(range(len(rows)), labels=[shown(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis)
        axes.locator_params(axis="x", nbins=5)
        axes.spines["left"].set_visible(False)
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(rows)), labels=[row.said for row in rows])
        right.tick_params(axis="y", length=0)
        right.spines["right"].set_visible(False)

    return draw(paint, label=label, height_in=0.75 + 0.36 * len(rows))
