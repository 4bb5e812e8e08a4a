"""Latency and memory over image sizes and widths: the teacher in fp32, each family's student in int8."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.published.untrained import nets
from benchmarks.published.untrained.config import Rounds
from benchmarks.published.untrained.model_files import Kind, export_net, time_files
from compress.models.pocket.config import PocketConfig
from export.config import Precision


@dataclass(frozen=True, kw_only=True)
class _SweptNet:
    model: str
    kind: Kind
    precision: Precision
    width: int
    net: Any


def measure_sizes(sizes_px: Sequence[int], rounds: Rounds) -> list[dict[str, Any]]:
    """Measure the nets at every size in an interleaved run of its own, each net as wide as it is offered.

    Returns:
        For each net and size an entry of `time_files`, also with `model` (the same at every size),
        `image_size_px`, `width` (channels at a quarter of the resolution), and of its run `runs` and `waiting`.
    """
    teacher, points = nets.build_teacher(), []
    for side in sorted(set(sizes_px)):
        swept = [
            _teacher(teacher, nets.TEACHER_WIDTH),
            *(_student(nets.student_shape(each, side)) for each in nets.FAMILIES),
        ]
        points += _measure(swept, side, rounds)
    return points


def measure_widths(widths: Sequence[int], rounds: Rounds) -> list[dict[str, Any]]:
    """Measure the nets in every width in one interleaved run, at the table's image size; see `measure_sizes`."""
    side, swept = rounds.image_size_px, []
    # The widest teacher first: the others are compared with it.
    for width in sorted(set(widths), reverse=True):
        swept.append(_teacher(nets.build_teacher(width), width))
        swept += [_student(nets.student_shape(each, side, width)) for each in nets.FAMILIES]
    return _measure(swept, side, rounds)


def _teacher(net: Any, width: int) -> _SweptNet:
    return _SweptNet(model="teacher, fp32", kind="teacher", precision="fp32", width=width, net=net)


def _student(shape: PocketConfig) -> _SweptNet:
    net = nets.build_untrained_student(shape)
    return _SweptNet(model=f"{shape.family}, int8", kind="student", precision="int8", width=shape.width, net=net)


def _measure(swept: Sequence[_SweptNet], side: int, rounds: Rounds) -> list[dict[str, Any]]:
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for one in swept:
            name = f"{one.model.partition(',')[0]} of width {one.width}"
            files += export_net(one.net, name, one.kind, (one.precision,), side, Path(folder))
        measured = time_files(files, threads=rounds.threads, runs=rounds.runs_at(side), warmup=rounds.warmup)
    run = {"runs": measured["runs"], "waiting": measured["waiting"]}
    return [
        {"model": one.model, "image_size_px": side, "width": one.width, **run, **entry}
        for one, entry in zip(swept, measured["entries"], strict=True)
    ]
