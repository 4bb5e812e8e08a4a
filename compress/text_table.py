"""Rows of text as people read them."""

from collections.abc import Sequence


def format_columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay rows of equally many cells out in columns, one line each; the first is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def format_markdown(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay the same rows out as a table of Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
