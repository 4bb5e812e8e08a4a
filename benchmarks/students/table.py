"""The table of students for people: on a terminal, and as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.host.table import format_conditions, format_speedup
from compress.text_table import format_columns, format_markdown

_UNKNOWN = ""
_SIMILARITIES = {
    "teacher_psnr_db": ("PSNR to the teacher", "{:.2f} dB"),
    "teacher_ssim": ("SSIM to the teacher", "{:.4f}"),
    "truth_psnr_db": ("PSNR to the truth", "{:.2f} dB"),
}


def format_table(record: Mapping[str, Any]) -> str:
    """Format a record of `bench_students`: its table, a line on each int8 student, and the conditions."""
    return "\n".join([*format_columns(_table_rows(record)), "", *_verdicts(record), "", *_notes(record)])


def format_page(record: Mapping[str, Any], samples: str) -> str:
    """Format a record of `bench_students` as a Markdown page.

    Args:
        record: The record.
        samples: File name of the picture beside the page.
    """
    lines = [*_notes(record), f"{record['date']}, `{record['command']}`"]
    parts = [
        f"{_task(record)}; how many times smaller and faster: than the teacher in float.",
        format_markdown(_table_rows(record)),
        _bullet_list(_verdicts(record)),
        _bullet_list(lines),
        f"![Test photos and what became of them]({samples})",
        f"*Columns: {', '.join(record['samples'])}.*",
    ]
    return "\n\n".join(parts) + "\n"


def _table_rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows, metrics = record["rows"], record["metrics"]
    similarities = {key: known for key, known in _SIMILARITIES.items() if any(key in row for row in rows)}
    head = ("model", "file", "smaller", "params", "MMACs", "latency", "faster (95 % interval)")
    titles = (*(f"{metric} (95 %)" for metric in metrics), *(title for title, _ in similarities.values()))
    cells: list[tuple[str, ...]] = [(*head, *titles)]
    for row in rows:
        similarity = [form.format(row[key]) if key in row else _UNKNOWN for key, (_, form) in similarities.items()]
        cells.append((*_file_cells(row), *(_distance(row, metric) for metric in metrics), *similarity))
    return cells


def _file_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["kind"] == "control":
        return (f"{row['name']} (untouched photos)", *[_UNKNOWN] * 6)
    return (
        row["name"],
        f"{row['size_bytes'] / 1e3:,.1f} kB",
        f"{row['times_smaller']:.3g}x",
        f"{row['params']:,}",
        _UNKNOWN if row["macs"] is None else f"{row['macs'] / 1e6:,.1f}",
        f"{row['latency_ms']['median']:,.2f} ms",
        format_speedup(row),
    )


def _distance(row: Mapping[str, Any], metric: str) -> str:
    score = row.get(metric)
    if score is None:
        return _UNKNOWN
    mark = "†" if "sister" in row else ""
    if "mean" in score:
        return f"{score['mean']:.4f} ({score['low']:.4f} - {score['high']:.4f}){mark}"
    return f"{score['value']:.1f} ({score['low']:.1f} - {score['high']:.1f}){mark}"


def _verdicts(record: Mapping[str, Any]) -> list[str]:
    return [_verdict(verdict, record) for verdict in record["verdicts"]]


def _verdict(verdict: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    kid = f"{record['metrics'][0]} not compared with its teacher's, whose images are the reference"
    if verdict["kid"] is not None:
        teacher = next(row for row in record["rows"] if row["kind"] == "teacher")[record["metrics"][0]]
        interval = f"{teacher['low']:.4f} to {teacher['high']:.4f}"
        kid = f"{record['metrics'][0]} {verdict['kid']} its teacher's 95 % interval, {interval}"
    fast = (
        "speed too noisy to tell"
        if verdict["speedup"] is None
        else f"{verdict['speedup']:.3g}x as fast as the teacher in float"
    )
    kept = [
        f"{'within' if is_within else 'above'} {int(budget) / 1e3:.0f} kB"
        for budget, is_within in verdict["within_bytes"].items()
    ]
    return f"{verdict['name']}: {kid}; {fast}; {verdict['size_bytes'] / 1e3:,.1f} kB, {', '.join(kept)}"


def _task(record: Mapping[str, Any]) -> str:
    side = record["image_size_px"]
    return f"{record['images']} test photos of domain {record['domain']} at {side}x{side}"


def _notes(record: Mapping[str, Any]) -> list[str]:
    rows, key = record["rows"], record["key"]
    real = f"the {key['real_images']} test photos of domain {record['target']}"
    reference = real if record["target"] else "the teacher's images in float"
    notes = [
        *format_conditions(record["table"]),
        f"distances: of the images of {_task(record)} to {reference}, in features of {key['network']}",
        *record["notes"],
        "PSNR and SSIM: mean over the images; the teacher's are those of its float file",
    ]
    if any(row.get("withheld") for row in rows):
        notes.insert(0, "to time anew on an idle machine, remove bench.json and give the same command again")
    for sister in sorted({row["sister"] for row in rows if "sister" in row}):
        notes.append(f"†: trained with {sister}, of which {key['network']} is a sister, so these distances flatter it")
    if any("truth_psnr_db" in row for row in rows):
        notes.append("truth: the true translation of each photo, which the data set has")
    if peers := [row["name"] for row in rows if row["kind"] == "peer"]:
        notes.append(
            f"{', '.join(peers)}: peers are timed and scored in float, which favours their images: int8 of a net with "
            "InstanceNorm is refused, or loses them"
        )
    return notes


def _bullet_list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
