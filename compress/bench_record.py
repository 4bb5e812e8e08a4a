"""Records of benchmarks, as `compress bench host` and `python -m benchmarks.toolkit` write them, in one schema.

A record times models, or commands, against each other in one interleaved run. Of the entries' measures those are typed
that a verdict is drawn from; each of the others is known by name, and finite.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from compress.errors import UnusableData
from compress.strict_json import Bounds, Length, load_json, open_seal_if_any, parse_record

Text = Annotated[str, Length(0, 2000)]
Name = Annotated[str, Length(1, 500)]
Ratio = Annotated[float, Bounds(1e-9, 1e9)]
Amount = Annotated[float, Bounds(0, 1e18)]
Bytes = Annotated[int, Bounds(0)]
Count = Annotated[int, Bounds(1, 10**6)]
Measures = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class BenchEntry:
    """One model or command. What is None was not measured, or not of this kind of benchmark."""

    name: Name
    speedup: Ratio
    """Ratio over the first entry or, of a command, over fixed work: the median of the rounds."""
    speedup_range: Annotated[tuple[Ratio, Ratio], Length(2, 2)] | None = None
    """Least and largest ratio of the rounds."""
    noise: Amount | None = None
    """Fraction by which the speed-up may be off; None of a single round."""
    withheld: Text | None = None
    """Why the speed-up is not to be quoted."""
    size_bytes: Bytes | None = None
    input_shape: Annotated[tuple[Count, ...], Length(1, 8)] | None = None
    path: Text | None = None
    threads: Count | None = None
    latency_ms: Measures | None = None
    over_first_threads: Measures | None = None
    compiled_model: Measures | None = None
    macs: Measures | int | None = None
    gmacs_per_s: Amount | None = None
    share_of_peak: Amount | None = None
    load_ms: Amount | None = None
    first_inference_ms: Amount | None = None
    peak_memory_bytes: int | None = None
    ops_total: Bytes | None = None
    ops_delegated: Bytes | None = None
    partitions: Bytes | None = None
    op_counts: Measures | None = None
    kind: Text | None = None
    cost: Measures | None = None
    times_smaller: Amount | None = None
    note: Text | None = None
    over: Name | None = None
    """Of a command: the fixed work that it is compared with."""
    seconds: Measures | None = None


@dataclass(frozen=True, kw_only=True)
class BenchRecord:
    """One interleaved run."""

    entries: Annotated[list[BenchEntry], Length(1, 1000)]
    """The first one is the baseline; a record of commands has none."""
    machine: Measures
    runs: Count
    threads: Count | None = None
    interleaved: bool = True
    waiting: Annotated[float, Bounds(0, 1e6)] | None = None
    peak_gmacs_per_s: Mapping[str, Amount] | None = None
    kind: Mapping[str, Any] | None = None
    """Of a record of commands: the conditions that must be the same for two of them to compare."""
    skipped: Measures | None = None
    calibrators: list[Any] | None = None


def parse_bench(raw: Any) -> BenchRecord:
    """Parse a benchmark's record.

    Raises:
        ValueError: If a part is missing, unknown or wrong, it was changed since it was written, two entries are of one
            name, or a speed-up lies outside of its range.
    """
    record = parse_record(open_seal_if_any(raw), BenchRecord)
    names = [entry.name for entry in record.entries]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two of its entries are called {twice[0]!r}")
    for entry in record.entries:
        if entry.speedup_range is not None and not entry.speedup_range[0] <= entry.speedup <= entry.speedup_range[1]:
            least, most = entry.speedup_range
            raise ValueError(f"the speedup of {entry.name!r} is {entry.speedup:g}, outside of {least:g} to {most:g}")
    return record


def read_bench(path: Path) -> BenchRecord:
    """Read the file of `compress bench host`.

    Raises:
        UnusableData: If it is missing, or no benchmark's record as `parse_bench` expects it.
    """
    try:
        return parse_bench(load_json(path))
    except (OSError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a benchmark ({error}); expected what `compress bench host --json` prints."
        ) from error
