"""Text tables: aligned columns for a terminal, and Markdown."""

from collections.abc import Sequence
from typing import Literal

Alignment = Literal["left", "right"]


def format_columns(rows: Sequence[Sequence[str]], *, align: Alignment = "left") -> list[str]:
    """Align cells in columns, two spaces apart.

    Args:
        rows: Each of equally many cells; the first row is the head.
        align: The side that cells line up on; the first column, which names the rows, is always left-aligned.

    Returns:
        One line for each row, without trailing spaces.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if align == "right" and column > 0 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def format_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Format rows of equally many cells as a Markdown table; the first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
