"""The comparison of shapes and its plots: nets are exported, timed, compared, and written to a folder."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import expm1, hypot, log1p
from pathlib import Path
from typing import Any

from benchmarks.host.stage import find_models
from benchmarks.published.config import PublishedConfig
from benchmarks.published.shapes import PEERS, make_deployable
from benchmarks.published.untrained import nets, plots, sweeps
from benchmarks.published.untrained.config import Rounds, ShapesConfig, plan_rounds
from benchmarks.published.untrained.model_files import ModelFile, export_net, time_files
from benchmarks.published.untrained.table import format_shapes_page
from benchmarks.timing.flags import command_line
from benchmarks.timing.noise import withheld_reason
from benchmarks.timing.start import start_once
from compress.artifact import is_artifact, open_artifact
from compress.config import to_mapping
from compress.files.atomic import atomic_dir
from compress.strict_json import seal_record
from export.config import Precision
from export.source import load_source

_TEACHER_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "dynamic", "int8")
BY_SIZE, BY_WIDTH = "by_size.png", "by_width.png"
_DPI = 150


def write_shapes(
    students: Sequence[Path], config: PublishedConfig, shapes: ShapesConfig, out: Path, *, overwrite: bool = False
) -> dict[str, Any]:
    """Measure and write `table.json`, `table.md`, `by_size.png` and `by_width.png`.

    Args:
        students: `.tflite` files or artifacts of one, to time beside those with random weights.
        config: The teacher, and how thoroughly everything is timed.
        shapes: The sizes and widths to draw over.
        out: The folder; it appears when everything is in it.
        overwrite: Whether it may exist.

    Returns:
        The record of `bench_shapes`.

    Raises:
        UsageError: If `out` exists.
        UnusableInput: See `bench_shapes`.
    """
    with atomic_dir(out, overwrite=overwrite) as scratch:
        record = bench_shapes(students, config, shapes)
        (scratch / "table.json").write_text(json.dumps(seal_record(record), indent=2) + "\n", encoding="utf-8")
        (scratch / "table.md").write_text(format_shapes_page(record, [BY_SIZE, BY_WIDTH]), encoding="utf-8")
        sizes = plots.draw_points(record["by_size"], "image_size_px", "image side, pixels")
        sizes.savefig(scratch / BY_SIZE, dpi=_DPI)
        widths = plots.draw_points(record["by_width"], "width", "channels at a quarter of the resolution")
        widths.savefig(scratch / BY_WIDTH, dpi=_DPI)
    return record


def bench_shapes(students: Sequence[Path], config: PublishedConfig, shapes: ShapesConfig) -> dict[str, Any]:
    """Measure the table and the sweeps.

    Returns:
        JSON-ready: `date` (UTC), `command`, `config`, `weights` of the teacher, `took_s`;
        `table`: the record of `time_files`, of one interleaved run;
        `ratios`: of each student over each other model, `model`, `over`, `speedup`, `noise`, `withheld`;
        `by_size` and `by_width`: the points of `sweeps`.

    Raises:
        UnusableInput: If the teacher or a student cannot be used.
        UsageError: If the teacher takes another size.
        UnsupportedLayer: If a layer of the teacher cannot be expressed.
    """
    started = time.monotonic()
    rounds = plan_rounds(config, shapes)
    opened_students = [_open_student(path) for path in students]
    source = load_source(config.teacher, reading=config.reading) if config.teacher else None
    if source is not None:
        source.image_size(rounds.image_size_px)
    table = _time_table(source.model if source else nets.build_teacher(), opened_students, rounds)
    by_size = sweeps.measure_sizes(shapes.sweep_size_px, rounds)
    by_width = sweeps.measure_widths(shapes.sweep_width, rounds)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shapes_command(students, config, shapes),
        "config": {
            "students": [str(path) for path in students],
            **to_mapping(config),
            **to_mapping(shapes),
            **to_mapping(rounds),
        },
        "weights": source.name if source else "random",
        "took_s": time.monotonic() - started,
        "table": table,
        "ratios": compare_students(table["entries"]),
        "by_size": by_size,
        "by_width": by_width,
    }


def compare_students(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the speed-up of each student over each other model, from their speed-ups over the baseline.

    The noise is that of two independent ratios: too much, since both are over the same rounds of the baseline.
    """
    students = [entry for entry in entries if entry["kind"] == "student"]
    others = [entry for entry in entries if entry["kind"] != "student"]
    return [_compare_pair(student, other) for other in others for student in students]


def shapes_command(students: Sequence[Path], config: PublishedConfig, shapes: ShapesConfig) -> str:
    """Return the command that measures this again, without where it writes."""
    command = ["compress", "bench", "published", *map(str, students), "--shapes"]
    return command_line(command, config, shapes)


def _compare_pair(student: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    noises = [entry["noise"] for entry in (student, other)]
    noise = None if None in noises else expm1(hypot(*map(log1p, noises)))
    return {
        "model": student["name"],
        "over": other["name"],
        "speedup": student["speedup"] / other["speedup"],
        "noise": noise,
        "withheld": student["withheld"] or other["withheld"] or withheld_reason(noise),
    }


def _open_student(path: Path) -> ModelFile:
    # Run once in a process of its own: a torn file is refused before minutes are spent on the rest.
    (model,) = find_models([path])
    start_once(model.file, threads=1)
    cost = open_artifact(path).manifest.cost if is_artifact(path) else None
    return ModelFile(path=path, kind="student", params=cost and cost.params, macs=cost and cost.macs)


def _time_table(teacher: Any, students: Sequence[ModelFile], rounds: Rounds) -> dict[str, Any]:
    side = rounds.image_size_px
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = export_net(teacher, "teacher", "teacher", _TEACHER_PRECISIONS, side, folder)
        files += students
        for family in nets.FAMILIES:
            student = nets.build_untrained_student(nets.student_shape(family, side))
            files += export_net(student, family, "student", ("int8",), side, folder)
        for peer, shape in PEERS.items():
            published, deployed = nets.build_peer(shape, side), nets.build_peer(make_deployable(shape), side)
            files += export_net(published, f"{peer} as published", "peer", ("fp32", "int8"), side, folder)
            files += export_net(deployed, f"{peer} made deployable", "peer", ("int8",), side, folder)
        return time_files(files, threads=rounds.threads, runs=rounds.runs, warmup=rounds.warmup)
