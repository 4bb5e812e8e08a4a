"""Parts of a page as HTML; all text from outside is escaped."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from typing import NamedTuple

import numpy as np

from compress.console.headline import Tone


class Cell(NamedTuple):
    """A number as people read it, and the small print under it."""

    text: str
    detail: str = ""
    tone: Tone | None = None
    """What the number means for the reader, where that is known."""


def read_style() -> str:
    """Return the style sheet of all pages, for a `<style>` element."""
    return resources.files("compress.page").joinpath("style.css").read_text(encoding="utf-8")


def render_chart(svg: str) -> str:
    """Render a chart that scrolls by itself where the screen is narrower."""
    return f'<div class="scroll chart">{svg}</div>'


def render_grid(parts: Iterable[str]) -> str:
    """Render charts beside each other, as many as there is room for."""
    return f'<div class="charts">{"".join(parts)}</div>'


def render_table(first: str, headings: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell | None]]]) -> str:
    """Render a table, which a narrow screen shows as a card for each row.

    Args:
        first: Heading of the column that names the rows.
        headings: Those of the others.
        rows: The name of each and its cells; None where it has nothing to say.
    """
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(_render_row(name, headings, cells) for name, cells in rows)
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">{escape(first)}</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _render_row(name: str, headings: Sequence[str], cells: Sequence[Cell | None]) -> str:
    rendered = "".join(_render_cell(heading, cell) for heading, cell in zip(headings, cells, strict=True))
    return f'<tr><th scope="row">{escape(name)}</th>{rendered}</tr>'


def _render_cell(heading: str, cell: Cell | None) -> str:
    if cell is None:
        return '<td class="none">–</td>'
    detail = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
    tone = f' class="{cell.tone}"' if cell.tone else ""
    return f'<td data-measure="{escape(heading)}"{tone}><div>{escape(cell.text)}{detail}</div></td>'


def encode_picture(pixels: np.ndarray) -> str:
    """Encode an image as a data URI, as PNG: a lossy format would add artefacts to those that a page is there to show.

    Args:
        pixels: `(height, width)` or `(height, width, 3)`, uint8.
    """
    # Loaded only where there are pictures.
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
