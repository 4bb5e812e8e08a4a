"""Columns of a report's tables: every metric that at least one of the models has.

There are two tables, since one of all columns is wider than a screen: what answers "what did I lose, what did I gain?",
with the untouched photos in every column of images and intervals where they are known, and the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from compress.console.headline import EFFECT_TONES
from compress.page.html import Cell
from eval.confidence import Interval, interval_of_mean
from eval.report.naming import CONTROL, TEACHER
from eval.report.sources import Sources
from eval.score_key import is_distance

_NETWORKS = {"efficientnet_lite0": "EfficientNet-Lite0", "squeezenet": "SqueezeNet"}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table."""

    heading: str
    cells: Mapping[str, Cell]
    """Cells by name of model; a model without the metric has none."""


def build_main_columns(sources: Sources) -> list[Column]:
    """Build the columns of what was lost and what was gained that have at least one cell."""
    columns = [
        *_build_similarity_columns(sources),
        *_build_distance_columns(sources),
        _build_column("Size", collect_size_bytes(sources), _format_size),
        _build_column("Smaller", compute_times_smaller(sources), _format_times),
        _build_column("Latency, median", _pick_from_entries(sources, "latency_ms", dict), _format_latency),
        _build_column(
            "Faster", {name: entry for name, entry in sources.entries.items() if "speedup" in entry}, _format_speedup
        ),
    ]
    return [column for column in columns if column.cells]


def build_further_columns(sources: Sources) -> list[Column]:
    """Build the other columns that have at least one cell: of files, of loading, and of further measures of images."""
    columns = [*_build_truth_columns(sources), *_build_file_columns(sources), *_build_speed_columns(sources)]
    return [column for column in columns if column.cells]


def list_rows(sources: Sources, columns: Sequence[Column]) -> list[str]:
    """List the models that have a cell in one of the columns; the control comes first, to be compared with."""
    return [name for name in (CONTROL, *sources.names) if any(name in column.cells for column in columns)]


def format_heading(key: str) -> str:
    """Format the name of a distance for people; other names without their underscores."""
    return _add_network(key, key.partition("_")[0].upper()) if is_distance(key) else key.replace("_", " ")


def format_distance(value: float | Mapping[str, float]) -> Cell:
    """Format a kernel distance with its spread over the subsets, or a Fréchet distance."""
    if isinstance(value, Mapping):
        return Cell(f"{value['mean']:.4f}", f"± {value['spread']:.4f}")
    return Cell(f"{value:.1f}")


def collect_size_bytes(sources: Sources) -> dict[str, int]:
    """Return file sizes as the benchmark saw them, else as the manifests state them."""
    stated = {name: manifest.cost.size_bytes for name, manifest in sources.manifests.items()}
    return stated | _pick_from_entries(sources, "size_bytes", int)


def compute_times_smaller(sources: Sources) -> dict[str, float]:
    """Return how many times each file fits into the baseline's."""
    sizes = collect_size_bytes(sources)
    baseline = sizes.get(sources.baseline)
    return {name: baseline / size for name, size in sizes.items()} if baseline else {}


def compute_times_faster(sources: Sources) -> dict[str, float]:
    """Return the median latency of the baseline over that of each model, measured interleaved in one run.

    A model whose benchmark was disturbed too much has none.
    """
    speedups = _pick_from_entries(sources, "speedup", float)
    return {name: value for name, value in speedups.items() if not sources.entries[name].get("withheld")}


def _build_file_columns(sources: Sources) -> list[Column]:
    manifests = sources.manifests
    return [
        _build_column("File", _pick_from_entries(sources, "path", str), _format_path),
        _build_column(
            "Precision", {name: manifest.config.get("precision") for name, manifest in manifests.items()}, Cell
        ),
        _build_column(
            "Parameters", {name: manifest.cost.params for name, manifest in manifests.items()}, _format_count
        ),
        _build_column("MACs", {name: manifest.cost.macs for name, manifest in manifests.items()}, _format_macs),
    ]


def _build_speed_columns(sources: Sources) -> list[Column]:
    delegation = {
        name: entry
        for name, entry in sources.entries.items()
        if {"ops_delegated", "ops_total", "partitions"} <= entry.keys()
    }
    return [
        _build_column("Loading", _pick_from_entries(sources, "load_ms", float), _format_milliseconds),
        _build_column("First image", _pick_from_entries(sources, "first_inference_ms", float), _format_milliseconds),
        _build_column("Peak memory", _pick_from_entries(sources, "peak_memory_bytes", int), _format_memory),
        _build_column("In the delegate", delegation, _format_delegation),
    ]


def _build_similarity_columns(sources: Sources) -> list[Column]:
    to_teacher = _pick_from_records(sources.scores, "similarity")
    psnr = {name: similarity.psnr_db for name, similarity in sources.similarity.items() if similarity.psnr_db}
    # MS-SSIM says the same at five scales: SSIM is shown where it is missing.
    ssim = {name: record for name, record in to_teacher.items() if not record.get("ms_ssim")}
    return [
        _build_way_column(sources),
        _build_column("PSNR to the teacher", psnr, _format_psnr),
        _build_summary_column("SSIM to the teacher", ssim, "ssim"),
        _build_summary_column("MS-SSIM to the teacher", to_teacher, "ms_ssim"),
        *_build_perceptual_columns(to_teacher, "teacher"),
    ]


def _build_way_column(sources: Sources) -> Column:
    """Build the share of the way from the untouched photos to the teacher, whose ends are these two."""
    cells = {
        name: Cell(
            _format_share(effect.share), _format_interval(effect.interval, _format_share), EFFECT_TONES[effect.verdict]
        )
        for name, effect in sources.effects.items()
    }
    ends = {CONTROL: Cell(_format_share(0)), TEACHER: Cell(_format_share(1))} if cells else {}
    return Column(heading="Of the way from photo to teacher", cells=ends | cells)


def _build_truth_columns(sources: Sources) -> list[Column]:
    to_truth = _pick_from_records(sources.scores, "truth")
    shares = [key.removeprefix("precision") for key in _list_keys(sources.scores) if key.startswith("precision")]
    return [
        _build_summary_column("PSNR to the truth", to_truth, "psnr_db", unit=" dB", digits=2),
        *_build_perceptual_columns(to_truth, "truth"),
        *(
            _build_column(
                _add_network(f"precision{network}", "Precision"),
                _pair_precision_recall(sources.scores, network),
                _format_precision_recall,
            )
            for network in shares
        ),
    ]


def _build_perceptual_columns(similarities: Mapping[str, Mapping[str, Any]], other: str) -> list[Column]:
    return [
        _build_summary_column(_add_network(key, f"Perceptual distance to the {other}"), similarities, key, worst="max")
        for key in _list_keys(similarities)
        if key.startswith("perceptual")
    ]


def _build_distance_columns(sources: Sources) -> list[Column]:
    records = sources.scores
    columns = []
    for key in (key for key in _list_keys(records) if is_distance(key)):
        cells = {name: _format_with_interval(record, key) for name, record in records.items() if key in record}
        columns.append(_mark_sisters(Column(heading=format_heading(key), cells=cells), records))
    return columns


def _format_with_interval(record: Mapping[str, Any], key: str) -> Cell:
    """Format a distance over its 95 % interval."""
    ends = record["intervals"][key]
    low, high = (
        {"mean": ends[end], "spread": 0.0} if isinstance(record[key], Mapping) else ends[end] for end in ("low", "high")
    )
    return Cell(format_distance(record[key]).text, f"{format_distance(low).text} to {format_distance(high).text}")


def _build_summary_column(
    heading: str,
    similarities: Mapping[str, Mapping[str, Any]],
    key: str,
    *,
    worst: str = "min",
    unit: str = "",
    digits: int = 4,
) -> Column:
    """Build a column of a measure that scores hold as a summary and of each image, over its interval and its worst."""
    cells = {}
    for name, similarity in similarities.items():
        if (summary := similarity.get(key)) is None:
            continue
        images = [image[key] for image in similarity.get("images", {}).values() if image.get(key) is not None]
        ends = _format_interval(interval_of_mean(images), lambda value: f"{value:.{digits}f}")
        detail = "; ".join(filter(None, [ends, f"worst {summary[worst]:.{digits}f}"]))
        cells[name] = Cell(f"{summary['mean']:.{digits}f}{unit}", detail)
    return Column(heading=heading, cells=cells)


def _mark_sisters(column: Column, records: Mapping[str, Mapping[str, Any]]) -> Column:
    """Say under a distance that a sister of the network that measures it trained the model."""
    cells = dict(column.cells)
    for name, cell in column.cells.items():
        if sister := records[name].get("sister"):
            cells[name] = Cell(cell.text, f"{cell.detail}; trained with {sister}, a sister".removeprefix("; "))
    return Column(heading=column.heading, cells=cells)


def _pair_precision_recall(records: Mapping[str, Mapping[str, Any]], network: str) -> dict[str, tuple[float, float]]:
    precision, recall = (_pick_from_records(records, f"{share}{network}") for share in ("precision", "recall"))
    return {name: (precision[name], recall[name]) for name in precision if name in recall}


def _list_keys(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """List the keys of all records, each once, in the order they come."""
    return list(dict.fromkeys(key for record in records.values() for key in record))


def _pick_from_records(records: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, Any]:
    return {name: record[key] for name, record in records.items() if record.get(key) is not None}


def _pick_from_entries(sources: Sources, key: str, kind: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: kind(entry[key]) for name, entry in sources.entries.items() if entry.get(key) is not None}


def _build_column(heading: str, values: Mapping[str, Any], cell: Callable[[Any], Cell]) -> Column:
    return Column(heading=heading, cells={name: cell(value) for name, value in values.items() if value is not None})


def _add_network(key: str, name: str) -> str:
    """Add the network to a name; a key has it after its first underscore, and KID and FID of Inception have none."""
    network = key.partition("_")[2]
    return f"{name} ({_NETWORKS.get(network, network)})" if network else name


def _format_psnr(decibels: Sequence[float]) -> Cell:
    ends = _format_interval(interval_of_mean(decibels), lambda value: f"{value:.2f}")
    return Cell(f"{np.mean(decibels):.2f} dB", "; ".join(filter(None, [ends, f"worst {min(decibels):.2f}"])))


def _format_interval(interval: Interval | None, number: Callable[[float], str]) -> str:
    return f"{number(interval.low)} to {number(interval.high)}" if interval else ""


def _format_share(share: float) -> str:
    return f"{100 * share:.0f} %"


def _format_speedup(entry: Mapping[str, Any]) -> Cell:
    if entry.get("withheld"):
        return Cell("too noisy")
    low, high = entry.get("speedup_range") or (None, None)
    ends = f"{_format_times(low).text} to {_format_times(high).text}" if low and high else ""
    return Cell(_format_times(entry["speedup"]).text, ends)


def _format_precision_recall(shares: tuple[float, float]) -> Cell:
    precision, recall = shares
    return Cell(f"{precision:.1%}", f"recall {recall:.1%}")


def _format_latency(latency: Mapping[str, float]) -> Cell:
    return Cell(f"{latency['median']:.2f} ms", f"{latency['min']:.2f} to {latency['max']:.2f}")


def _format_milliseconds(duration_ms: float) -> Cell:
    return Cell(f"{duration_ms:.2f} ms")


def _format_delegation(entry: Mapping[str, Any]) -> Cell:
    return Cell(f"{entry['ops_delegated']} of {entry['ops_total']} ops", f"partitions: {entry['partitions']}")


def _format_path(path: str) -> Cell:
    # An artifact's files are all called model.tflite: its folder's name tells them apart.
    return Cell(PurePath(path).name, PurePath(path).parent.name)


def _format_size(count: int) -> Cell:
    return Cell(f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB", f"{count:,} bytes")


def _format_memory(count: int) -> Cell:
    return Cell(f"{count / 1e6:.1f} MB")


def _format_times(factor: float) -> Cell:
    return Cell(f"{factor:.0f}x" if factor >= 10 else f"{factor:.2g}x")


def _format_count(count: int) -> Cell:
    return Cell(f"{count:,}")


def _format_macs(count: int) -> Cell:
    return Cell(f"{count / 1e9:.3g} G")
