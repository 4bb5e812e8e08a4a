"""Costs of students that nobody has trained yet, by the cost model; kept in the sweep's folder by their shape."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compress.cost import LayerCost, predict_file_bytes
from compress.files.atomic import replace_text
from compress.fleet.budget.shape import ShippedShape
from compress.fleet.command import run_module
from compress.strict_json import load_json, parse_record

FOLDER = "budget"
"""Folder of a sweep in which costs and latencies are kept."""
_CHILD = "compress.fleet.budget.child"
# Building a model takes a whole accelerator where there is one, and a trial may be training on it.
NO_ACCELERATOR = {"CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True, kw_only=True)
class PredictedCost:
    """Cost of a student before it is pruned."""

    params: int
    macs: int
    size_bytes: int
    """Bytes of its file, predicted."""


def predict_costs(shapes: Sequence[ShippedShape], sweep_dir: Path) -> list[PredictedCost]:
    """Predict the cost of students; those that are not known yet are built in one process.

    Args:
        shapes: None of them with a teacher's layers.
        sweep_dir: The sweep's folder, where what is predicted is kept.
    """
    known = {shape.key: _read(_place(sweep_dir, shape)) for shape in shapes}
    missing = {shape.key: shape for shape in shapes if known[shape.key] is None}
    if missing:
        for shape, rows in zip(missing.values(), build_students(list(missing.values())), strict=True):
            known[shape.key] = cost = _sum_up(shape, rows)
            replace_text(_place(sweep_dir, shape), json.dumps(asdict(cost)) + "\n")
    return [cost for shape in shapes if (cost := known[shape.key])]


def build_students(shapes: Sequence[ShippedShape], save: Sequence[Path | None] = ()) -> list[list[LayerCost]]:
    """Build untrained students in a process of their own and return their layers' costs.

    Args:
        shapes: The students.
        save: For each the `.keras` file to write it to, with weights drawn at random.
    """
    files = save or [None] * len(shapes)
    jobs = [
        {"student": asdict(shape.student), "save": None if file is None else str(file)}
        for shape, file in zip(shapes, files, strict=True)
    ]
    printed = run_module(_CHILD, [], given=json.dumps(jobs), environment=NO_ACCELERATOR)
    return [[_parse_row(row) for row in rows] for rows in json.loads(printed.splitlines()[-1])]


def _parse_row(row: dict[str, Any]) -> LayerCost:
    return LayerCost(**{**row, "output_shape": tuple(row["output_shape"])})


def _sum_up(shape: ShippedShape, rows: Sequence[LayerCost]) -> PredictedCost:
    return PredictedCost(
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        size_bytes=predict_file_bytes(rows, precision=shape.precision, io_type=shape.io_type),
    )


def _place(sweep_dir: Path, shape: ShippedShape) -> Path:
    return sweep_dir / FOLDER / f"cost-{shape.key}.json"


def _read(path: Path) -> PredictedCost | None:
    """Read a cost that is kept; None where there is none, or what is there is torn: it is quickly made anew."""
    try:
        return parse_record(load_json(path), PredictedCost)
    except (OSError, ValueError):
        return None
