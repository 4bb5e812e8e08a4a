"""Model files: nets exported in several precisions, and timed against each other."""

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.host.config import HostConfig
from benchmarks.host.stage import bench_host
from benchmarks.quantizers.compare import tensorflow_file
from compress.errors import UnsupportedLayer
from compress.models import cost
from compress.models.io import with_size
from export import parity
from export.calibration import observe
from export.config import Precision
from export.graph.border_pad import expand_border_pads
from export.graph.lower import lower
from export.graph.operations import Graph, InstanceNorm
from export.tflite import emitter

Kind = Literal["teacher", "student", "peer"]
_PRECISION_NAMES: dict[Precision, str] = {"dynamic": "dynamic range"}
"""Names of the precisions in the table, where they differ from our flag."""
_CALIBRATION_PHOTOS = 1
"""Photos that set int8 ranges: costs do not depend on them, and the teacher takes seconds for each."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A `.tflite` file to time, and the facts of the net in it."""

    path: Path
    """Path of the file; its stem is the row's name."""
    kind: Kind
    params: int | None
    """Learnt parameters in the file, a folded BatchNorm with its convolution; None where they are unknown."""
    macs: int | None
    """MACs as the papers count them: a transposed convolution at its output's resolution."""
    note: str | None = None
    """Remark on how the file was made, for readers of the table."""


def export_net(
    net: Any, name: str, kind: Kind, precisions: Sequence[Precision], image_size_px: int, folder: Path
) -> list[ModelFile]:
    """Export a net in several precisions, as `compress export tflite` would.

    An int8 file that our export refuses is written by the TF converter, and its note says so.

    Args:
        net: A `keras.Model` of one image in, one out.
        name: Name of its rows, before the precision.
        kind: Kind of its rows.
        precisions: Precisions to export in.
        image_size_px: Side of the square that the files take.
        folder: Folder of the files.

    Raises:
        UnsupportedLayer: If a layer cannot be expressed.
    """
    size = (image_size_px, image_size_px)
    graph = expand_border_pads(lower(net, input_shape=(*size, 3)))
    params, macs = _count_params(graph), cost.measure_cost(net, image_size_px=image_size_px).macs
    files = []
    for precision in precisions:
        row = f"{name}, {_PRECISION_NAMES.get(precision, precision)}"
        _log.info("write %s at %dx%d", row, *size)
        content, note = _export_content(net, graph, precision, size)
        path = folder / f"{row}.tflite"
        path.write_bytes(content)
        files.append(ModelFile(path=path, kind=kind, params=params, macs=macs, note=note))
    return files


def time_files(files: Sequence[ModelFile], *, threads: int, runs: int, warmup: int) -> dict[str, Any]:
    """Time files in one interleaved run.

    Returns:
        The record of `benchmarks.host.stage.bench_host` with the first file as the baseline. Each entry also has
        `kind`, `cost` (`params` and `macs`), `times_smaller` and `note`, and no `path`.

    Raises:
        UnusableInput: If a file cannot be run.
    """
    first, *others = (file.path for file in files)
    record = bench_host(
        HostConfig(baseline=first, candidate=tuple(others), threads=(threads,), runs=runs, warmup=warmup)
    )
    largest = record["entries"][0]["size_bytes"]
    entries = [
        {
            **{key: value for key, value in entry.items() if key != "path"},
            "kind": file.kind,
            "cost": {"params": file.params, "macs": file.macs},
            "times_smaller": largest / entry["size_bytes"],
            "note": file.note,
        }
        for entry, file in zip(record["entries"], files, strict=True)
    ]
    return record | {"entries": entries}


def _export_content(net: Any, graph: Graph, precision: Precision, size: tuple[int, int]) -> tuple[bytes, str | None]:
    if precision != "int8":
        return emitter.float_file(graph, precision), None
    photos = parity.synthetic_photos(size, count=_CALIBRATION_PHOTOS, seed=0)
    try:
        return emitter.int8_file(observe.calibrate_and_quantize(graph, photos), "float"), None
    except UnsupportedLayer as error:
        why, _, _ = str(error).partition(". ")
        note = f"written by the TF converter; compress export refuses it: {why}"
        return _convert_quietly(with_size(net, size), photos), note


def _convert_quietly(net: Any, photos: Sequence[np.ndarray]) -> bytes:
    # The converter lists every variable on stderr; its exceptions still come through.
    with contextlib.redirect_stderr(io.StringIO()):
        return tensorflow_file(net, photos)


def _count_params(graph: Graph) -> int:
    # An InstanceNorm without gain and offset is lowered with ones and zeros, which nobody learnt.
    unlearnt = [
        operation.gamma.size + operation.beta.size
        for operation in graph.operations
        if isinstance(operation, InstanceNorm) and (operation.gamma == 1).all() and not operation.beta.any()
    ]
    return graph.params - sum(unlearnt)
