"""The project's main table and its plots: files written, timed, compared, and put down whole."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import expm1, hypot, log1p
from pathlib import Path
from typing import Any

from benchmarks.config import TableConfig, command_line
from benchmarks.host.stage import find_contenders
from benchmarks.published.shapes import PEERS, made_deployable
from benchmarks.published.untrained import nets, plots, sweeps
from benchmarks.published.untrained.entrants import Entrant, time_entrants, write
from benchmarks.published.untrained.text import format_page
from benchmarks.timing.noise import why_withheld
from benchmarks.timing.start import start_once
from compress.artifact import atomic_dir, is_artifact, open_artifact
from compress.config import to_mapping
from export.config import Precision
from export.source import open_source

_TEACHER_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "dynamic", "int8")
BY_SIZE, BY_WIDTH = "by_size.png", "by_width.png"
_DPI = 150


def write_table(config: TableConfig, out: Path, *, overwrite: bool = False) -> dict[str, Any]:
    """Measure and write `table.json`, `table.md`, `by_size.png` and `by_width.png`.

    Args:
        config: What is measured.
        out: The folder; it appears when everything is in it.
        overwrite: Whether it may exist.

    Returns:
        What `bench_table` does.

    Raises:
        UsageError: If `out` exists.
        UnusableInput: As `bench_table`.
    """
    with atomic_dir(out, overwrite=overwrite) as scratch:
        record = bench_table(config)
        (scratch / "table.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (scratch / "table.md").write_text(format_page(record, [BY_SIZE, BY_WIDTH]), encoding="utf-8")
        sizes = plots.draw(record["by_size"], "image_size_px", "image side, pixels")
        sizes.savefig(scratch / BY_SIZE, dpi=_DPI)
        widths = plots.draw(record["by_width"], "width", "channels at a quarter of the resolution")
        widths.savefig(scratch / BY_WIDTH, dpi=_DPI)
    return record


def bench_table(config: TableConfig) -> dict[str, Any]:
    """Measure everything.

    Returns:
        JSON-ready: `date` (UTC), `command`, `config`, `weights` of the teacher, `took_s`;
        `table`: of one interleaved run, as `time_entrants` returns it;
        `ratios`: of each student over each model that is none, `model`, `over`, `speedup`, `noise`, `withheld`;
        `by_size` and `by_width`: the points of `sweeps`.

    Raises:
        UnusableInput: If the teacher or a student cannot be used.
        UsageError: If the teacher takes another size.
        UnsupportedLayer: If a layer of the teacher cannot be expressed.
    """
    started = time.monotonic()
    given = [_given(path) for path in config.student]
    opened = open_source(config.teacher, lambda_layers=config.lambda_layers) if config.teacher else None
    if opened is not None:
        opened.image_size(config.image_size_px)
    table = _time_table(config, opened.model if opened else nets.teacher(), given)
    by_size, by_width = sweeps.by_size(config), sweeps.by_width(config)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": command_of(config),
        "config": to_mapping(config),
        "weights": opened.name if opened else "random",
        "took_s": time.monotonic() - started,
        "table": table,
        "ratios": compare(table["entries"]),
        "by_size": by_size,
        "by_width": by_width,
    }


def compare(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Tell how many times faster each student is than each model that is none, from their speed-ups over the first.

    The noise is that of two independent ratios: too much, since both are over the same rounds of the first model.
    """
    students = [entry for entry in entries if entry["kind"] == "student"]
    rivals = [entry for entry in entries if entry["kind"] != "student"]
    return [_ratio(student, rival) for rival in rivals for student in students]


def command_of(config: TableConfig) -> str:
    """The command that measures this again, without where it writes."""
    return command_line(["compress", "bench", "table"], config)


def _ratio(student: Mapping[str, Any], rival: Mapping[str, Any]) -> dict[str, Any]:
    noises = [entry["noise"] for entry in (student, rival)]
    noise = None if None in noises else expm1(hypot(*map(log1p, noises)))
    return {
        "model": student["name"],
        "over": rival["name"],
        "speedup": student["speedup"] / rival["speedup"],
        "noise": noise,
        "withheld": student["withheld"] or rival["withheld"] or why_withheld(noise),
    }


def _given(path: Path) -> Entrant:
    # Run once in a process of its own: what is torn is refused before minutes are spent on the rest.
    (contender,) = find_contenders([path])
    start_once(contender.model, threads=1)
    cost = open_artifact(path).manifest.cost if is_artifact(path) else None
    return Entrant(path=path, kind="student", params=cost and cost.params, macs=cost and cost.macs)


def _time_table(config: TableConfig, teacher: Any, given: Sequence[Entrant]) -> dict[str, Any]:
    side = config.image_size_px
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        entrants = write(teacher, "teacher", "teacher", _TEACHER_PRECISIONS, side, folder)
        entrants += given
        for family in nets.FAMILIES:
            entrants += write(nets.student(nets.shape_of(family, side)), family, "student", ("int8",), side, folder)
        for peer, shape in PEERS.items():
            published, deployed = nets.peer(shape, side), nets.peer(made_deployable(shape), side)
            entrants += write(published, f"{peer} as published", "peer", ("fp32", "int8"), side, folder)
            entrants += write(deployed, f"{peer} made deployable", "peer", ("int8",), side, folder)
        return time_entrants(entrants, threads=config.threads, runs=config.runs, warmup=config.warmup)
