"""The table baseline against student: one row a model, one column a measure that at least one of them has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from eval.report.sources import Sources

CONTROL = "untouched inputs"
"""The row of the control that a score file carries."""

_NETWORKS = {"efficientnet_lite0": "EfficientNet-Lite0"}


class Cell(NamedTuple):
    """A number as people read it, and what stands in small print under it."""

    text: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One column of the table."""

    heading: str
    cells: Mapping[str, Cell]
    """By name of model; a model without it is not in here."""


def measures(sources: Sources) -> list[Measure]:
    """All columns that have at least one cell, in the order they are read in."""
    columns = [*_file_measures(sources), *_speed_measures(sources), *_image_measures(sources)]
    return [column for column in columns if column.cells]


def row_names(sources: Sources) -> list[str]:
    """The table's rows; the control comes last."""
    has_control = any("control" in record for record in sources.scores.values())
    return [*sources.names, CONTROL] if has_control else list(sources.names)


def size_bytes(sources: Sources) -> dict[str, int]:
    """File sizes as the benchmark saw them, else as the manifests state them."""
    stated = {name: manifest.cost.size_bytes for name, manifest in sources.manifests.items()}
    return stated | _of_entries(sources, "size_bytes", int)


def times_smaller(sources: Sources) -> dict[str, float]:
    """How many times each file fits into the baseline's."""
    sizes = size_bytes(sources)
    baseline = sizes.get(sources.baseline)
    return {name: baseline / size for name, size in sizes.items()} if baseline else {}


def times_faster(sources: Sources) -> dict[str, float]:
    """Median latency of the baseline over that of each model, measured interleaved in one run."""
    return _of_entries(sources, "speedup", float)


def _file_measures(sources: Sources) -> list[Measure]:
    manifests = sources.manifests
    return [
        _measure("File", _of_entries(sources, "path", str), _path_cell),
        _measure("Size", size_bytes(sources), _size_cell),
        _measure("Smaller", times_smaller(sources), _times_cell),
        _measure("Precision", {name: manifest.config.get("precision") for name, manifest in manifests.items()}, Cell),
        _measure("Parameters", {name: manifest.cost.params for name, manifest in manifests.items()}, _count_cell),
        _measure("MACs", {name: manifest.cost.macs for name, manifest in manifests.items()}, _macs_cell),
    ]


def _speed_measures(sources: Sources) -> list[Measure]:
    delegation = {
        name: entry
        for name, entry in sources.entries.items()
        if {"ops_delegated", "ops_total", "partitions"} <= entry.keys()
    }
    return [
        _measure("Latency, median", _of_entries(sources, "latency_ms", dict), _latency_cell),
        _measure("Faster", times_faster(sources), _times_cell),
        _measure("Peak memory", _of_entries(sources, "peak_memory_bytes", int), _memory_cell),
        _measure("In the delegate", delegation, _delegation_cell),
    ]


def _image_measures(sources: Sources) -> list[Measure]:
    records = {name: dict(record) for name, record in sources.scores.items()}
    psnr = {name: fidelity.psnr_db for name, fidelity in sources.fidelity.items() if fidelity.psnr_db}
    ssim = {name: record.get("fidelity", {}).get("ssim") for name, record in records.items()}
    for record in sources.scores.values():
        records |= {CONTROL: record["control"]} if "control" in record else {}
    distances = dict.fromkeys(key for record in records.values() for key in record if _is_distance(key))
    return [
        _measure("PSNR to the teacher", psnr, _psnr_cell),
        _measure("SSIM to the teacher", ssim, _ssim_cell),
        *(
            _measure(_heading(key), {name: record.get(key) for name, record in records.items()}, _distance_cell)
            for key in distances
        ),
    ]


def _of_entries(sources: Sources, key: str, kind: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: kind(entry[key]) for name, entry in sources.entries.items() if entry.get(key) is not None}


def _measure(heading: str, values: Mapping[str, Any], cell: Callable[[Any], Cell]) -> Measure:
    return Measure(heading=heading, cells={name: cell(value) for name, value in values.items() if value is not None})


def _is_distance(key: str) -> bool:
    return key.split("_")[0] in ("kid", "fid", "fd")


def _heading(key: str) -> str:
    metric, _, network = key.partition("_")
    return f"{metric.upper()} ({_NETWORKS.get(network, network)})" if network else metric.upper()


def _distance_cell(value: float | Mapping[str, float]) -> Cell:
    if isinstance(value, Mapping):
        return Cell(f"{value['mean']:.4f}", f"± {value['spread']:.4f}")
    return Cell(f"{value:.1f}")


def _psnr_cell(decibels: Sequence[float]) -> Cell:
    return Cell(f"{np.mean(decibels):.2f} dB", f"worst {min(decibels):.2f}")


def _ssim_cell(summary: Mapping[str, float]) -> Cell:
    return Cell(f"{summary['mean']:.4f}", f"worst {summary['min']:.4f}")


def _latency_cell(latency: Mapping[str, float]) -> Cell:
    return Cell(f"{latency['median']:.2f} ms", f"{latency['min']:.2f} to {latency['max']:.2f}")


def _delegation_cell(entry: Mapping[str, Any]) -> Cell:
    return Cell(f"{entry['ops_delegated']} of {entry['ops_total']} ops", f"partitions: {entry['partitions']}")


def _path_cell(path: str) -> Cell:
    # An artifact's files are all called model.tflite: its folder's name tells them apart.
    return Cell(PurePath(path).name, PurePath(path).parent.name)


def _size_cell(count: int) -> Cell:
    return Cell(f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB", f"{count:,} bytes")


def _memory_cell(count: int) -> Cell:
    return Cell(f"{count / 1e6:.1f} MB")


def _times_cell(factor: float) -> Cell:
    return Cell(f"{factor:.0f}x" if factor >= 10 else f"{factor:.2g}x")


def _count_cell(count: int) -> Cell:
    return Cell(f"{count:,}")


def _macs_cell(count: int) -> Cell:
    return Cell(f"{count / 1e9:.3g} G")
