"""The page itself: sources become HTML through `page.html`. Everything that comes from outside is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from eval.config import ReportConfig
from eval.gate import format
from eval.report import curves, forest, pictures, scatter, table
from eval.report.gates import Gate
from eval.report.sources import Sources, read_sources

_GATE_LEGEND = "Bar: 95 % interval. Dashed: the limit. Grey: no difference. Circle: pass; cross: regression; diamond: inconclusive."
_DISTANCE_LEGEND = (
    "Bar: 95 % interval over the choice of test images. Two models that share the images differ by less than their "
    "bars suggest: compress eval gate computes the interval of a difference."
)
_CURVE_LEGEND = "Band: one standard deviation of the subsets to both sides. Dashed: what the untouched inputs get."


def render(config: ReportConfig) -> str:
    """Make the page that a configuration asks for.

    Returns:
        A whole HTML document; images are in it, nothing is fetched.

    Raises:
        UsageError, UnusableData, UnusableArtifact: As `read_sources`.
    """
    sources = read_sources(config)
    judged_by = list(sources.similarity)[-1]
    similarity = sources.similarity[judged_by]
    template = Template(resources.files("eval.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(config.title),
        headline=_headline(sources, judged_by),
        gates=_gates(sources),
        costs=_table("What it costs", sources, table.cost_measures(sources)),
        images_table=_table("What its images are like", sources, table.image_measures(sources)),
        charts=_charts(sources),
        curves=_curves(sources),
        images=len(similarity.images),
        judged_by=escape(judged_by),
        typical=_rows(sources, pictures.typical_stems(similarity)),
        worst=_rows(sources, pictures.worst_stems(similarity)),
        method=_method(sources),
    )


def _headline(sources: Sources, name: str) -> str:
    """The few numbers of the last column that sum a run up, as far as they are known."""
    facts = []
    if factor := table.times_smaller(sources).get(name):
        facts.append((f"{factor:.0f}x", f"smaller than {sources.baseline}"))
    if factor := table.times_faster(sources).get(name):
        facts.append((f"{factor:.0f}x", f"faster than {sources.baseline}"))
    if decibels := sources.similarity[name].psnr_db:
        facts.append((f"{np.mean(decibels):.1f} dB", "PSNR to the teacher"))
    items = "".join(f"<li><strong>{escape(value)}</strong> {escape(what)}</li>" for value, what in facts)
    return f'<p>{escape(name)}</p><ul class="facts">{items}</ul>'


def _gates(sources: Sources) -> str:
    """The verdicts in words, then the intervals that they rest on."""
    if not sources.gates:
        return ""
    verdicts = "".join(_verdict(name, gate) for name, gate in sources.gates.items())
    charts = _grid(map(_chart, forest.of_gates(sources.gates)))
    return f"<h2>Held against its baseline</h2>{verdicts}{charts}<p>{_GATE_LEGEND}</p>"


def _verdict(name: str, gate: Gate) -> str:
    lines = [format.sentence(check) for check in gate.checks] + [f"not checked: {one}" for one in gate.not_checked]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{escape(name)}: <strong>{escape(gate.verdict)}</strong></p><ul>{items}</ul>"


def _charts(sources: Sources) -> str:
    """Distances with their intervals, unless a gate has compared them better; size against quality."""
    parts = []
    distances = [] if sources.gates else forest.of_distances(sources)
    if distances:
        charts = _grid(map(_chart, distances))
        parts.append(f"<h2>Distance to the reference</h2>{charts}<p>{_DISTANCE_LEGEND}</p>")
    if points := scatter.of_models(sources):
        parts.append(f"<h2>Size against quality</h2>{_chart(points)}")
    return "".join(parts)


def _curves(sources: Sources) -> str:
    parts = [
        _chart(curves.of_training(name, curve))
        if curve
        else f"<p>{escape(name)} keeps no curve: it was trained by an older version, or without measuring.</p>"
        for name, curve in sources.curves.items()
    ]
    if not parts:
        return ""
    measured = [line for curve in sources.curves.values() if curve for line in curve.lines]
    legend = f"<p>{_CURVE_LEGEND}</p>" if any(line.spreads is not None for line in measured) else ""
    return f"<h2>Training</h2>{_grid(parts)}{legend}"


def _chart(svg: str) -> str:
    return f'<div class="scroll chart">{svg}</div>'


def _grid(parts: Iterable[str]) -> str:
    return f'<div class="charts">{"".join(parts)}</div>'


def _table(title: str, sources: Sources, columns: Sequence[table.Measure]) -> str:
    if not columns:
        return ""
    head = "".join(f'<th scope="col">{escape(column.heading)}</th>' for column in columns)
    body = "".join(_table_row(name, columns) for name in table.row_names(sources, columns))
    return (
        f'<h2>{title}</h2><div class="scroll"><table><thead><tr><th scope="col">Model</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _table_row(name: str, columns: Iterable[table.Measure]) -> str:
    cells = "".join(_cell(column.heading, column.cells.get(name)) for column in columns)
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(heading: str, cell: table.Cell | None) -> str:
    if cell is None:
        return '<td class="none">–</td>'
    detail = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
    return f'<td data-measure="{escape(heading)}"><div>{escape(cell.text)}{detail}</div></td>'


def _rows(sources: Sources, stems: Iterable[str]) -> str:
    return "".join(_picture_row(pictures.row(sources, stem)) for stem in stems)


def _picture_row(row: pictures.Row) -> str:
    figures = "".join(
        f'<figure><img src="{picture.uri}" alt="{escape(row.stem)}, {escape(picture.name)}">'
        f"<figcaption>{escape(picture.name)}{_decibels(picture)}</figcaption></figure>"
        for picture in row.pictures
    )
    return f'<section class="case"><h3>{escape(row.stem)}</h3><div class="strip">{figures}</div></section>'


def _decibels(picture: pictures.Picture) -> str:
    return f" <span>{picture.psnr_db:.2f} dB</span>" if picture.psnr_db is not None else ""


def _method(sources: Sources) -> str:
    """What the numbers were measured with: the benchmark's conditions, the scores' key and notes."""
    parts = []
    if sources.bench:
        parts.append("<h3>Latency</h3>" + _definitions(sources.bench))
    if sources.scores:
        record = next(iter(sources.scores.values()))
        notes = "".join(f"<li>{escape(note)}</li>" for note in record.get("notes", []))
        parts.append("<h3>Scores</h3>" + _definitions(record["key"]) + (f"<ul>{notes}</ul>" if notes else ""))
    return f"<h2>How this was measured</h2>{''.join(parts)}" if parts else ""


def _definitions(record: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_plain(value))}</dd>" for key, value in record.items())
    return f"<dl>{items}</dl>"


def _plain(value: Any) -> str:
    """A JSON value as people read it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "unknown"
        case dict():
            return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
        case list():
            return ", ".join(_plain(item) for item in value)
        case _:
            return str(value)
