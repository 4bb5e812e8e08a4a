"""The table of shapes for people: on a terminal, and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.host.table import format_conditions, format_speedup, format_start
from compress.text_table import format_columns, format_markdown

_HEAD = (
    "model",
    "file",
    "smaller",
    "params",
    "GMACs",
    "median",
    "faster (95 % interval)",
    "of peak",
    "load + first",
    "peak memory",
    "partitions, ops left",
)
_UNKNOWN = ""


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_shapes`: its table, the students' ratios and the conditions, in aligned columns."""
    return "\n".join(
        [
            *format_columns(_table_rows(record)),
            "",
            *format_columns(_ratio_rows(record)),
            "",
            *_notes(record),
            *format_conditions(record["table"]),
        ]
    )


def format_shapes_page(record: Mapping[str, Any], plots: Sequence[str]) -> str:
    """Format a record of `bench_shapes` as a Markdown page.

    Args:
        record: The record.
        plots: File names of pictures beside the page.
    """
    size = record["config"]["image_size_px"]
    pictures = [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in plots]
    origin = f"{record['date']}, `{record['command']}`, {record['took_s'] / 60:.1f} minutes"
    foot = [*_notes(record), *format_conditions(record["table"]), origin]
    parts = [
        f"Everything at {size}x{size}, in one interleaved run; faster and smaller than the first row.",
        format_markdown(_table_rows(record)),
        "How many times faster each student is than the others:",
        format_markdown(_ratio_rows(record)),
        "\n".join(f"- {line}" for line in foot),
        *pictures,
    ]
    return "\n\n".join(parts) + "\n"


def _table_rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [_HEAD, *(_row(entry) for entry in record["table"]["entries"])]


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    params, macs = entry["cost"]["params"], entry["cost"]["macs"]
    return (
        entry["name"],
        f"{entry['size_bytes'] / 1e3:,.1f} kB",
        f"{entry['times_smaller']:.0f}x",
        _UNKNOWN if params is None else f"{params:,}",
        _UNKNOWN if macs is None else f"{macs / 1e9:.3g}",
        f"{entry['latency_ms']['median']:,.2f} ms",
        format_speedup(entry),
        f"{entry['share_of_peak']:.0%}",
        format_start(entry),
        f"{entry['peak_memory_bytes'] / 1e6:.1f} MB",
        f"{entry['partitions']}, {entry['ops_total'] - entry['ops_delegated']}",
    )


def _ratio_rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a row for each model that is none of ours, a column for each student."""
    students = list(dict.fromkeys(ratio["model"] for ratio in record["ratios"]))
    others = list(dict.fromkeys(ratio["over"] for ratio in record["ratios"]))
    found = {(ratio["over"], ratio["model"]): format_speedup(ratio) for ratio in record["ratios"]}
    return [
        ("faster than", *students),
        *((other, *(found[other, student] for student in students)) for other in others),
    ]


def _notes(record: Mapping[str, Any]) -> list[str]:
    noted = [f"{entry['name']}: {entry['note']}" for entry in record["table"]["entries"] if entry["note"]]
    weights = f"weights of the teacher: {record['weights']}; of all other nets: random"
    return [weights, "int8 ranges: of one synthetic picture, since no cost depends on them", *noted]
