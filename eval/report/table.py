"""The tables baseline against student: one row a model, one column a measure that at least one of them has.

Two of them, since one of all columns is wider than a screen: what a model costs a phone, and what its images are like.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np

from eval.report.sources import Sources
from eval.score_key import is_distance

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


def cost_measures(sources: Sources) -> list[Measure]:
    """What models cost: the columns that have at least one cell, in the order they are read in."""
    return [column for column in [*_file_measures(sources), *_speed_measures(sources)] if column.cells]


def image_measures(sources: Sources) -> list[Measure]:
    """What images are like: to the teacher's, to the truth, to the reference; columns as of `cost_measures`."""
    columns = [*_likeness_measures(sources), *_distance_measures(sources)]
    return [column for column in columns if column.cells]


def row_names(sources: Sources, columns: Sequence[Measure]) -> list[str]:
    """Whatever has a cell in one of the columns; the control comes last."""
    return [name for name in (*sources.names, CONTROL) if any(name in column.cells for column in columns)]


def control(sources: Sources) -> Mapping[str, Any]:
    """The distances of the untouched inputs, the same in every score file of one key; empty where none carries them."""
    return next((record["control"] for record in sources.scores.values() if "control" in record), {})


def heading(key: str) -> str:
    """A distance's name as people read it; other names without their underscores."""
    return _of_network(key, key.partition("_")[0].upper()) if is_distance(key) else key.replace("_", " ")


def distance_cell(value: float | Mapping[str, float]) -> Cell:
    """A kernel distance with its spread over the subsets, or a Fréchet distance."""
    if isinstance(value, Mapping):
        return Cell(f"{value['mean']:.4f}", f"± {value['spread']:.4f}")
    return Cell(f"{value:.1f}")


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
    """Median latency of the baseline over that of each model, measured interleaved in one run.

    A model whose benchmark the machine disturbed too much to tell has none.
    """
    speedups = _of_entries(sources, "speedup", float)
    return {name: value for name, value in speedups.items() if not sources.entries[name].get("withheld")}


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
        _measure("Loading", _of_entries(sources, "load_ms", float), _milliseconds_cell),
        _measure("First image", _of_entries(sources, "first_inference_ms", float), _milliseconds_cell),
        _measure("Peak memory", _of_entries(sources, "peak_memory_bytes", int), _memory_cell),
        _measure("In the delegate", delegation, _delegation_cell),
    ]


def _likeness_measures(sources: Sources) -> list[Measure]:
    psnr = {name: similarity.psnr_db for name, similarity in sources.similarity.items() if similarity.psnr_db}
    to_teacher = {name: record.get("similarity", {}) for name, record in sources.scores.items()}
    to_truth = {name: record.get("truth", {}) for name, record in sources.scores.items()}
    # MS-SSIM says the same at five scales: SSIM is shown where it is missing.
    ssim = {name: likeness.get("ssim") for name, likeness in to_teacher.items() if not likeness.get("ms_ssim")}
    return [
        _measure("PSNR to the teacher", psnr, _psnr_cell),
        _measure("SSIM to the teacher", ssim, _similarity_cell),
        _measure("MS-SSIM to the teacher", _of_records(to_teacher, "ms_ssim"), _similarity_cell),
        *_perceptual_measures(to_teacher, "teacher"),
        _measure("PSNR to the truth", _of_records(to_truth, "psnr_db"), _psnr_summary_cell),
        *_perceptual_measures(to_truth, "truth"),
    ]


def _perceptual_measures(likenesses: Mapping[str, Mapping[str, Any]], other: str) -> list[Measure]:
    return [
        _measure(
            _of_network(key, f"Perceptual distance to the {other}"), _of_records(likenesses, key), _perceptual_cell
        )
        for key in _keys(likenesses)
        if key.startswith("perceptual")
    ]


def _distance_measures(sources: Sources) -> list[Measure]:
    records = {**sources.scores, CONTROL: control(sources)}
    shares = [key.removeprefix("precision") for key in _keys(records) if key.startswith("precision")]
    return [
        *(
            _measure(heading(key), _of_records(records, key), distance_cell)
            for key in _keys(records)
            if is_distance(key)
        ),
        *(
            _measure(_of_network(f"precision{network}", "Precision"), _shares(records, network), _shares_cell)
            for network in shares
        ),
    ]


def _shares(records: Mapping[str, Mapping[str, Any]], network: str) -> dict[str, tuple[float, float]]:
    precision, recall = (_of_records(records, f"{share}{network}") for share in ("precision", "recall"))
    return {name: (precision[name], recall[name]) for name in precision if name in recall}


def _keys(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The keys of all records, each once, in the order they come."""
    return list(dict.fromkeys(key for record in records.values() for key in record))


def _of_records(records: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {name: record[key] for name, record in records.items() if record.get(key) is not None}


def _of_entries(sources: Sources, key: str, kind: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: kind(entry[key]) for name, entry in sources.entries.items() if entry.get(key) is not None}


def _measure(heading: str, values: Mapping[str, Any], cell: Callable[[Any], Cell]) -> Measure:
    return Measure(heading=heading, cells={name: cell(value) for name, value in values.items() if value is not None})


def _of_network(key: str, name: str) -> str:
    """Name the network that a key names after its first underscore: Inception, which has the names, is in none."""
    network = key.partition("_")[2]
    return f"{name} ({_NETWORKS.get(network, network)})" if network else name


def _psnr_cell(decibels: Sequence[float]) -> Cell:
    return Cell(f"{np.mean(decibels):.2f} dB", f"worst {min(decibels):.2f}")


def _psnr_summary_cell(summary: Mapping[str, float]) -> Cell:
    return Cell(f"{summary['mean']:.2f} dB", f"worst {summary['min']:.2f}")


def _similarity_cell(summary: Mapping[str, float]) -> Cell:
    return Cell(f"{summary['mean']:.4f}", f"worst {summary['min']:.4f}")


def _perceptual_cell(summary: Mapping[str, float]) -> Cell:
    return Cell(f"{summary['mean']:.4f}", f"worst {summary['max']:.4f}")


def _shares_cell(shares: tuple[float, float]) -> Cell:
    precision, recall = shares
    return Cell(f"{precision:.1%}", f"recall {recall:.1%}")


def _latency_cell(latency: Mapping[str, float]) -> Cell:
    return Cell(f"{latency['median']:.2f} ms", f"{latency['min']:.2f} to {latency['max']:.2f}")


def _milliseconds_cell(duration_ms: float) -> Cell:
    return Cell(f"{duration_ms:.2f} ms")


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
