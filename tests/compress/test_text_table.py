"""Text tables, against tables written by hand."""

import pytest

from compress.text_table import format_columns, format_markdown

ROWS = [("name", "size", "note"), ("a", "1,000 kB", ""), ("longer", "9 kB", "small")]


def test_columns_are_left_aligned_and_end_in_no_spaces() -> None:
    assert format_columns(ROWS) == [
        "name    size      note",
        "a       1,000 kB",
        "longer  9 kB      small",
    ]


def test_right_alignment_leaves_the_first_column_on_the_left() -> None:
    assert format_columns(ROWS, align="right") == [
        "name        size   note",
        "a       1,000 kB",
        "longer      9 kB  small",
    ]


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        format_columns([("name", "size"), ("a",)])


def test_markdown_has_a_row_of_dashes_under_its_head() -> None:
    assert format_markdown(ROWS) == (
        "| name | size | note |\n|---|---|---|\n| a | 1,000 kB |  |\n| longer | 9 kB | small |"
    )
