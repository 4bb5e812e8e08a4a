"""The page of a report: sources become HTML through `page.html`, and everything from outside is escaped."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from compress.console.headline import EFFECT_TONES
from compress.page.html import read_style, render_chart, render_grid, render_table
from eval.config import ReportConfig
from eval.effect import RULE
from eval.gate.format import format_sentence
from eval.report import pictures, table
from eval.report.cautions import list_cautions
from eval.report.curves import draw_curve
from eval.report.forest import draw_forest_of_distances, draw_forest_of_gates
from eval.report.gates import GateResult
from eval.report.naming import CONTROL, TEACHER
from eval.report.scatter import draw_scatter_of_models
from eval.report.sources import Sources, read_sources

_TABLE_NOTE = "Small print: the 95 % interval over the choice of test images, or of rounds; the worst image."
_GATE_LEGEND = (
    "Bar: 95 % interval. Dashed: the limit. Grey: no difference. "
    "Circle: pass; cross: regression; diamond: inconclusive."
)
_DISTANCE_LEGEND = (
    "Bar: 95 % interval over the choice of test images. Two models that share the images differ by less than their "
    "bars suggest: compress eval gate computes the interval of a difference."
)
_CURVE_LEGEND = "Band: one standard deviation of the subsets to both sides. Dashed: what the untouched inputs get."


def render_page(config: ReportConfig) -> str:
    """Render the page that a configuration asks for: pictures, one table with intervals, cautions, then the rest.

    Returns:
        A whole HTML document; images are in it, nothing is fetched, and of scripts only its own one may run.

    Raises:
        UsageError, UnusableData, UnusableArtifact: As `read_sources`.
    """
    sources = read_sources(config)
    similarity = sources.similarity[sources.student]
    script = _read_resource("page.js")
    main, further = table.build_main_columns(sources), table.build_further_columns(sources)
    return Template(_read_resource("page.html")).substitute(
        title=escape(config.title or f"{sources.student} beside its {TEACHER}"),
        style=read_style(),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        headline=_render_headline(sources),
        images=len(similarity.images),
        student=escape(sources.student),
        worst=_render_pictures(sources, sources.worst),
        table=_render_table("What was lost, what was gained", sources, main, note=f"{_TABLE_NOTE} {RULE}"),
        cautions=_render_cautions(list_cautions(sources)),
        gates=_render_gates(sources),
        charts=_render_charts(sources),
        curves=_render_curves(sources),
        typical=_render_pictures(sources, sources.typical),
        further=_render_table("Further measures", sources, further),
        method=_render_method(sources),
    )


def _read_resource(name: str) -> str:
    return resources.files("eval.report").joinpath(name).read_text(encoding="utf-8")


def _render_headline(sources: Sources) -> str:
    """Render what the student does beyond the untouched photos, and the few numbers that sum a run up."""
    name = sources.student
    facts = []
    if decibels := sources.similarity[name].psnr_db:
        beside = sources.similarity[CONTROL].psnr_db
        control = f", the {CONTROL} {np.mean(beside):.1f} dB" if beside else ""
        facts.append((f"{np.mean(decibels):.1f} dB", f"PSNR to the teacher{control}"))
    if factor := table.compute_times_smaller(sources).get(name):
        facts.append((f"{factor:.0f}x", f"smaller than {sources.baseline}"))
    if factor := table.compute_times_faster(sources).get(name):
        facts.append((f"{factor:.0f}x", f"faster than {sources.baseline}"))
    items = "".join(f"<li><strong>{escape(value)}</strong> {escape(what)}</li>" for value, what in facts)
    return f'{_render_effect(sources)}<ul class="facts">{items}</ul>'


def _render_effect(sources: Sources) -> str:
    """Render the verdict on the student in words and in colour."""
    name = escape(sources.student)
    if (effect := sources.effects.get(sources.student)) is None:
        return f'<p class="verdict doubt">{name}: the teacher leaves these photos as they are.</p>'
    words, found, rest = effect.text.partition(": it ")
    said = f"<strong>{name} {escape(words)}</strong>{found}{escape(rest)}"
    return f'<p class="verdict {EFFECT_TONES[effect.verdict]}">{said}</p>'


def _render_cautions(cautions: Sequence[str]) -> str:
    if not cautions:
        return ""
    items = "".join(f"<li>{escape(caution)}</li>" for caution in cautions)
    return f'<h2>Read with care</h2><ul class="cautions">{items}</ul>'


def _render_gates(sources: Sources) -> str:
    """Render the verdicts in words, then the intervals that they rest on."""
    if not sources.gates:
        return ""
    verdicts = "".join(_render_verdict(name, gate) for name, gate in sources.gates.items())
    charts = render_grid(map(render_chart, draw_forest_of_gates(sources.gates)))
    return f"<h2>Held against its baseline</h2>{verdicts}{charts}<p>{_GATE_LEGEND}</p>"


def _render_verdict(name: str, gate: GateResult) -> str:
    lines = [format_sentence(check) for check in gate.checks] + [f"not checked: {one}" for one in gate.not_checked]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<p>{escape(name)}: <strong>{escape(gate.verdict)}</strong></p><ul>{items}</ul>"


def _render_charts(sources: Sources) -> str:
    """Render distances with their intervals, unless a gate has compared them better; then size against quality."""
    parts = []
    distances = [] if sources.gates else draw_forest_of_distances(sources)
    if distances:
        charts = render_grid(map(render_chart, distances))
        parts.append(f"<h2>Distance to the reference</h2>{charts}<p>{_DISTANCE_LEGEND}</p>")
    if points := draw_scatter_of_models(sources):
        parts.append(f"<h2>Size against quality</h2>{render_chart(points)}")
    return "".join(parts)


def _render_curves(sources: Sources) -> str:
    parts = [
        render_chart(draw_curve(name, curve))
        if curve
        else f"<p>{escape(name)} keeps no curve: it was trained by an older version, or without measuring.</p>"
        for name, curve in sources.curves.items()
    ]
    if not parts:
        return ""
    measured = [line for curve in sources.curves.values() if curve for line in curve.lines]
    legend = f"<p>{_CURVE_LEGEND}</p>" if any(line.spreads is not None for line in measured) else ""
    return f"<h2>Training</h2>{render_grid(parts)}{legend}"


def _render_table(title: str, sources: Sources, columns: Sequence[table.Column], *, note: str = "") -> str:
    if not columns:
        return ""
    rows = ((name, [column.cells.get(name) for column in columns]) for name in table.list_rows(sources, columns))
    rendered = render_table("Model", [column.heading for column in columns], rows)
    return f"<h2>{title}</h2>{rendered}{f'<p>{escape(note)}</p>' if note else ''}"


def _render_pictures(sources: Sources, stems: Iterable[str]) -> str:
    return "".join(_render_picture_row(pictures.load_picture_row(sources, stem)) for stem in stems)


def _render_picture_row(row: pictures.PictureRow) -> str:
    figures = "".join(
        f'<figure data-name="{escape(picture.name)}"><div class="frame">'
        f'<img src="{picture.uri}" alt="{escape(row.stem)}, {escape(picture.name)}"></div>'
        f"<figcaption>{escape(picture.name)}{_render_decibels(picture)}</figcaption></figure>"
        for picture in row.pictures
    )
    return f'<section class="case"><h3>{escape(row.stem)}</h3><div class="strip">{figures}</div></section>'


def _render_decibels(picture: pictures.Picture) -> str:
    return f" <span>{picture.psnr_db:.2f} dB</span>" if picture.psnr_db is not None else ""


def _render_method(sources: Sources) -> str:
    """Render how the numbers were measured: the benchmark's conditions, the scores' key and notes."""
    parts = []
    if sources.bench:
        parts.append("<h3>Latency</h3>" + _render_definitions(sources.bench))
    if sources.scores:
        key = next((record["key"] for record in sources.scores.values() if "key" in record), {})
        said = dict.fromkeys(note for record in sources.scores.values() for note in record.get("notes", []))
        notes = "".join(f"<li>{escape(note)}</li>" for note in said)
        parts.append("<h3>Scores</h3>" + _render_definitions(key) + (f"<ul>{notes}</ul>" if notes else ""))
    return f"<h2>How this was measured</h2>{''.join(parts)}" if parts else ""


def _render_definitions(record: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_format_value(value))}</dd>" for key, value in record.items())
    return f"<dl>{items}</dl>"


def _format_value(value: Any) -> str:
    """Format a JSON value for people."""
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "unknown"
        case dict():
            return ", ".join(f"{key} {_format_value(item)}" for key, item in value.items())
        case list():
            return ", ".join(_format_value(item) for item in value)
        case float():
            return f"{value:.4g}"
        case _:
            return str(value)
