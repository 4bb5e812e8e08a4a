"""The table as people read it: on a terminal, and as Markdown for a README."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.host.table import conditions, start_of, times_faster
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
    """The table, the students' ratios and the conditions, in aligned columns."""
    return "\n".join(
        [
            *format_columns(_rows(record)),
            "",
            *format_columns(_ratios(record)),
            "",
            *_notes(record),
            *conditions(record["table"]),
        ]
    )


def format_page(record: Mapping[str, Any], plots: Sequence[str]) -> str:
    """The same as Markdown.

    Args:
        record: Of `bench_table`.
        plots: File names of pictures beside it.
    """
    size = record["config"]["image_size_px"]
    pictures = [f"![{name.removesuffix('.png').replace('_', ' ')}]({name})" for name in plots]
    origin = f"{record['date']}, `{record['command']}`, {record['took_s'] / 60:.1f} minutes"
    foot = [*_notes(record), *conditions(record["table"]), origin]
    parts = [
        f"Everything at {size}x{size}, in one interleaved run; faster and smaller than the first row.",
        format_markdown(_rows(record)),
        "How many times faster each student is than the others:",
        format_markdown(_ratios(record)),
        "\n".join(f"- {line}" for line in foot),
        *pictures,
    ]
    return "\n\n".join(parts) + "\n"


def _rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
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
        times_faster(entry),
        f"{entry['share_of_peak']:.0%}",
        start_of(entry),
        f"{entry['peak_memory_bytes'] / 1e6:.1f} MB",
        f"{entry['partitions']}, {entry['ops_total'] - entry['ops_delegated']}",
    )


def _ratios(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each model that is none of ours, a column for each student."""
    students = list(dict.fromkeys(ratio["model"] for ratio in record["ratios"]))
    rivals = list(dict.fromkeys(ratio["over"] for ratio in record["ratios"]))
    found = {(ratio["over"], ratio["model"]): times_faster(ratio) for ratio in record["ratios"]}
    return [
        ("faster than", *students),
        *((rival, *(found[rival, student] for student in students)) for rival in rivals),
    ]


def _notes(record: Mapping[str, Any]) -> list[str]:
    noted = [f"{entry['name']}: {entry['note']}" for entry in record["table"]["entries"] if entry["note"]]
    weights = f"weights of the teacher: {record['weights']}; of all that was not given: random"
    return [weights, "int8 ranges: of one synthetic picture, since no cost depends on them", *noted]
