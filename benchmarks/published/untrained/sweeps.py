"""How latency and memory grow with the image and with the net: the teacher in fp32, each family's student in int8."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.config import TableConfig
from benchmarks.published.untrained import nets
from benchmarks.published.untrained.entrants import Kind, time_entrants, write
from compress.models.pocket.config import PocketConfig
from export.config import Precision


@dataclass(frozen=True, kw_only=True)
class _Subject:
    model: str
    kind: Kind
    precision: Precision
    width: int
    net: Any


def by_size(config: TableConfig) -> list[dict[str, Any]]:
    """Measure every size in an interleaved run of its own, each net as wide as it is offered.

    Returns:
        For each net and size an entry as `time_entrants` has it, also with `model` (the same at every size),
        `image_size_px`, `width` (channels at a quarter of the resolution), and of its run `runs` and `waiting`.
    """
    teacher, points = nets.teacher(), []
    for side in sorted(set(config.sweep_size_px)):
        subjects = [
            _teacher(teacher, nets.TEACHER_WIDTH),
            *(_student(nets.shape_of(each, side)) for each in nets.FAMILIES),
        ]
        points += _measure(subjects, side, config)
    return points


def by_width(config: TableConfig) -> list[dict[str, Any]]:
    """Measure every width in one interleaved run, at the table's image size; returns what `by_size` does."""
    side, subjects = config.image_size_px, []
    # The widest teacher first: the others are compared with it.
    for width in sorted(set(config.sweep_width), reverse=True):
        subjects.append(_teacher(nets.teacher(width), width))
        subjects += [_student(nets.shape_of(each, side, width)) for each in nets.FAMILIES]
    return _measure(subjects, side, config)


def _teacher(net: Any, width: int) -> _Subject:
    return _Subject(model="teacher, fp32", kind="teacher", precision="fp32", width=width, net=net)


def _student(shape: PocketConfig) -> _Subject:
    net = nets.student(shape)
    return _Subject(model=f"{shape.family}, int8", kind="student", precision="int8", width=shape.width, net=net)


def _measure(subjects: Sequence[_Subject], side: int, config: TableConfig) -> list[dict[str, Any]]:
    entrants = []
    with tempfile.TemporaryDirectory() as folder:
        for one in subjects:
            name = f"{one.model.partition(',')[0]} of width {one.width}"
            entrants += write(one.net, name, one.kind, (one.precision,), side, Path(folder))
        measured = time_entrants(entrants, threads=config.threads, runs=config.runs_at(side), warmup=config.warmup)
    run = {"runs": measured["runs"], "waiting": measured["waiting"]}
    return [
        {"model": one.model, "image_size_px": side, "width": one.width, **run, **entry}
        for one, entry in zip(subjects, measured["entries"], strict=True)
    ]
