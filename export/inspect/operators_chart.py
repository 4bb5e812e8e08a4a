"""The chart of `compress inspect --time-operators --chart`: the time of each operator as bars."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from compress.files.ownership import GENERATOR

BARS = 40
"""Number of the slowest operators that are drawn; the rest is one bar."""
_XNNPACK, _FALLBACK = "#0072B2", "#D55E00"
"""Okabe and Ito's blue and vermilion, which colour-blind people tell apart as well."""


def draw_chart(operators: Sequence[Mapping[str, Any]], title: str) -> bytes:
    """Draw how long each operator takes by itself, the slowest first.

    Args:
        operators: The `operators` of `inspect_tflite`; those without a time are left out.
        title: The chart's title.

    Returns:
        A PNG.
    """
    # Only who draws waits for matplotlib; its Figure writes a PNG without pyplot, which would look for a screen.
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    bars = make_bars(operators)
    figure = Figure(figsize=(9, 1.5 + 0.25 * len(bars)), layout="constrained")
    axes = figure.subplots()
    colours = [_XNNPACK if in_xnnpack else _FALLBACK for _, _, in_xnnpack in bars]
    drawn = axes.barh([label for label, _, _ in bars], [spent for _, spent, _ in bars], color=colours)
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.01)
    total = sum(spent for _, spent, _ in bars)
    axes.set_xlabel(f"ms by itself on one thread; {total:.3g} ms together")
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    if _FALLBACK in colours:
        axes.legend(
            handles=[Patch(color=_XNNPACK, label="XNNPACK"), Patch(color=_FALLBACK, label="a slower kernel")],
            loc="lower right",
        )
    written = BytesIO()
    figure.savefig(written, dpi=150, format="png", metadata={"Software": GENERATOR})
    return written.getvalue()


def make_bars(operators: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, bool]]:
    """Return label, milliseconds, and whether XNNPACK runs it, for the `BARS` slowest and all others together."""
    timed = [operator for operator in operators if operator["latency_ms"] is not None]
    timed.sort(key=lambda operator: -operator["latency_ms"])
    bars = [(_label(operator), operator["latency_ms"], operator["runs_in"]["xnnpack"]) for operator in timed[:BARS]]
    rest = timed[BARS:]
    if rest:
        spent = sum(operator["latency_ms"] for operator in rest)
        bars.append((f"{len(rest)} others", spent, all(operator["runs_in"]["xnnpack"] for operator in rest)))
    return bars


def _label(operator: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, operator["shape"][1:]))
    return f"{operator['position']}  {operator['code']}  {shape} {operator['dtype']}"
