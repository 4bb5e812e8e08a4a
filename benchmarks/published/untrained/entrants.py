"""What takes part: nets become files, and the files are timed against each other."""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.config import HostConfig
from benchmarks.host.stage import bench_host
from benchmarks.quantizers.oracles import tensorflow_file
from compress import cost
from compress.errors import UnsupportedLayer
from compress.models.copies import with_size
from export import parity
from export.calibration import observe
from export.config import Precision
from export.graph.lower import lower
from export.graph.operations import Graph, InstanceNorm
from export.graph.reflection_pad import expand_reflection_pads
from export.tflite import emitter

Kind = Literal["teacher", "student", "peer"]
_PRECISION_NAMES: dict[Precision, str] = {"dynamic": "dynamic range"}
"""Where the field has another word than our flag."""
_CALIBRATION_PHOTOS = 1
"""Costs do not depend on ranges: one picture is enough, and the teacher takes seconds for each."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """A file that takes part, and what is known of the net in it."""

    path: Path
    """Its stem is the row's name."""
    kind: Kind
    params: int | None
    """What is learnt and shipped, a folded BatchNorm with its convolution; None where the file does not tell."""
    macs: int | None
    """As the papers count: a transposed convolution at its output's resolution."""
    note: str | None = None
    """What a reader has to know of how the file came about."""


def write(
    net: Any, name: str, kind: Kind, precisions: Sequence[Precision], image_size_px: int, folder: Path
) -> list[Entrant]:
    """Export a net in several precisions, as `compress export tflite` would.

    int8 that our export refuses is written by the TF converter, and its note says so.

    Args:
        net: A `keras.Model` of one image in, one out.
        name: What its rows are called, before the precision.
        kind: Of which part of the table they are.
        precisions: In which it is written.
        image_size_px: Side of the square that the files take.
        folder: Where they are put.

    Raises:
        UnsupportedLayer: If a layer cannot be expressed.
    """
    size = (image_size_px, image_size_px)
    graph = expand_reflection_pads(lower(net, input_shape=(*size, 3)))
    params, macs = _params(graph), cost.measure_cost(net, image_size_px=image_size_px).macs
    entrants = []
    for precision in precisions:
        row = f"{name}, {_PRECISION_NAMES.get(precision, precision)}"
        _log.info("write %s at %dx%d", row, *size)
        content, note = _content(net, graph, precision, size)
        path = folder / f"{row}.tflite"
        path.write_bytes(content)
        entrants.append(Entrant(path=path, kind=kind, params=params, macs=macs, note=note))
    return entrants


def time_entrants(entrants: Sequence[Entrant], *, threads: int, runs: int, warmup: int) -> dict[str, Any]:
    """Time files in one interleaved run.

    Returns:
        As `benchmarks.host.stage.bench_host`, the first entrant being the baseline. Each entry also has `kind`, `cost`
        (`params` and `macs`), `times_smaller` and `note`, and no `path`.

    Raises:
        UnusableInput: If a file cannot be run.
    """
    first, *others = (entrant.path for entrant in entrants)
    record = bench_host(
        HostConfig(baseline=first, candidate=tuple(others), threads=(threads,), runs=runs, warmup=warmup)
    )
    largest = record["entries"][0]["size_bytes"]
    entries = [
        {
            **{key: value for key, value in entry.items() if key != "path"},
            "kind": entrant.kind,
            "cost": {"params": entrant.params, "macs": entrant.macs},
            "times_smaller": largest / entry["size_bytes"],
            "note": entrant.note,
        }
        for entry, entrant in zip(record["entries"], entrants, strict=True)
    ]
    return record | {"entries": entries}


def _content(net: Any, graph: Graph, precision: Precision, size: tuple[int, int]) -> tuple[bytes, str | None]:
    if precision != "int8":
        return emitter.float_file(graph, precision), None
    photos = parity.synthetic_photos(size, count=_CALIBRATION_PHOTOS, seed=0)
    try:
        return emitter.int8_file(observe.quantize_on(graph, photos), "float"), None
    except UnsupportedLayer as error:
        why, _, _ = str(error).partition(". ")
        note = f"written by the TF converter; compress export refuses it: {why}"
        return _by_tensorflow(with_size(net, size), photos), note


def _by_tensorflow(net: Any, photos: Sequence[np.ndarray]) -> bytes:
    # The converter lists every variable on the way; what it raises comes through.
    with contextlib.redirect_stderr(io.StringIO()):
        return tensorflow_file(net, photos)


def _params(graph: Graph) -> int:
    # An InstanceNorm without gain and offset is lowered with ones and zeros, which nobody learnt.
    unlearnt = [
        operation.gamma.size + operation.beta.size
        for operation in graph.operations
        if isinstance(operation, InstanceNorm) and (operation.gamma == 1).all() and not operation.beta.any()
    ]
    return graph.params - sum(unlearnt)
