"""Baseline files: accepted speed-ups of models or of the toolkit's own commands.

`compress bench accept` writes them and `compress bench check` compares with them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from compress.bench_record import BenchEntry, BenchRecord, Bytes, Ratio, parse_bench
from compress.errors import UnusableData
from compress.files.atomic import atomic_write_text
from compress.strict_json import Bounds, Length, load_json, open_seal, open_seal_if_any, parse_record, seal_record

SCHEMA = 2
UNSEALED_SCHEMA = 1
"""Schema of files without a content hash. They are still read."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The measured speed-up and size of one model or command."""

    speedup: Ratio
    """Ratio over the measurement's first model; of a command, over the fixed work that it is compared with."""
    noise: Annotated[float, Bounds(0, 1e6)]
    """Noise of the speed-up, see `benchmarks.timing.noise.median_noise`."""
    size_bytes: Bytes | None
    """Size of the model's file; None of a command."""


@dataclass(frozen=True, kw_only=True)
class SpeedMeasurement:
    """The speed-ups of one benchmark, and the conditions they hold for."""

    kind: dict[str, Any]
    """Conditions that must be the same for two measurements to compare: processor, its instruction sets, threads,
    LiteRT, and the name, size and input shape of the first model. For commands see `benchmarks.toolkit.stage`."""
    models: dict[str, Speed]
    withheld: dict[str, str] = field(default_factory=dict)
    """Reasons why speed-ups are not quoted, by the names of models; `models` does not hold these."""


def read_benchmark(path: Path) -> SpeedMeasurement:
    """Read a record of `compress bench host`, `compress bench published` or `python -m benchmarks.toolkit`.

    Raises:
        UnusableData: If it is no benchmark, or one of a single model.
    """
    try:
        raw = open_seal_if_any(load_json(path))
        # The published comparison holds its run of `bench host` beside other results.
        record = parse_bench(raw["table"] if isinstance(raw, dict) and "table" in raw else raw)
        kind, others = (dict(record.kind), record.entries) if record.kind is not None else _split_models(record)
        withheld = {entry.name: entry.withheld for entry in others if entry.withheld}
        models = {entry.name: _speed(entry) for entry in others if not entry.withheld}
    except (OSError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a benchmark ({error}); expected what `compress bench host --out` or "
            "`python -m benchmarks.toolkit --out` writes, or `table.json` of `compress bench published`."
        ) from error
    if not others:
        raise UnusableData(f"{path} holds a single model; expected the baseline's and at least one candidate's.")
    return SpeedMeasurement(kind=kind, models=models, withheld=withheld)


def select_models(measurement: SpeedMeasurement, names: Sequence[str]) -> SpeedMeasurement:
    """Return the measurement restricted to these models or commands.

    Raises:
        UnusableData: Naming the models that it does not hold, and those that it does.
    """
    present = [*measurement.models, *measurement.withheld]
    if missing := [name for name in names if name not in present]:
        raise UnusableData(f"the measurement does not hold {', '.join(missing)}; it holds {', '.join(present)}.")
    return SpeedMeasurement(
        kind=measurement.kind,
        models={name: held for name, held in measurement.models.items() if name in names},
        withheld={name: why for name, why in measurement.withheld.items() if name in names},
    )


def require_quotable(measurement: SpeedMeasurement, path: Path) -> None:
    """Refuse a measurement with withheld speed-ups.

    Raises:
        UnusableData: Naming the models, the reasons and the file.
    """
    if measurement.withheld:
        reasons = "\n".join(f"{name}: {why}." for name, why in measurement.withheld.items())
        raise UnusableData(f"{path} is too noisy; measure again while the machine does nothing else.\n{reasons}")


def require_one_kind(measured: Mapping[str, Any], accepted: Mapping[str, Any]) -> None:
    """Refuse two measurements that hold for different conditions.

    Raises:
        UnusableData: Naming the conditions that differ.
    """
    differing = [name for name in {**accepted, **measured} if measured.get(name) != accepted.get(name)]
    if differing:
        differences = "\n".join(f"{name}: {measured.get(name)}, accepted {accepted.get(name)}." for name in differing)
        raise UnusableData(
            "these speed-ups do not compare: they were measured on different kinds of machines or over different "
            f"models. Keep a baseline file for each.\n{differences}"
        )


def read_speed_baseline(path: Path) -> SpeedMeasurement:
    """Read a baseline file.

    Raises:
        UnusableData: If it is missing, or no file of `compress bench accept`.
    """
    try:
        return _parse_baseline(load_json(path))
    except (OSError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a baseline file ({error}); expected what `compress bench accept` writes."
        ) from error


def write_speed_baseline(measurement: SpeedMeasurement, path: Path, *, overwrite: bool = False) -> None:
    """Write a baseline file atomically, one line for each model, so that a commit shows which ones changed.

    Raises:
        UsageError: If it exists and `overwrite` is false.
    """
    held = {name: asdict(model) for name, model in measurement.models.items()}
    sealed = seal_record({"schema": SCHEMA, "kind": measurement.kind, "models": held})
    models = ",\n".join(f"{json.dumps(name)}: {json.dumps(model)}" for name, model in held.items())
    lines = [f'"{name}": {json.dumps(value)}' for name, value in sealed.items() if name != "models"]
    lines.insert(2, f'"models": {{\n{models}\n}}')
    atomic_write_text(path, "{\n" + ",\n".join(lines) + "\n}\n", overwrite=overwrite)


@dataclass(frozen=True, kw_only=True)
class _BaselineRecord:
    """A baseline file, without its hash."""

    schema: Literal[1, 2]
    kind: dict[str, Any]
    models: Annotated[dict[str, Speed], Length(1, 1000)]


def _parse_baseline(raw: Any) -> SpeedMeasurement:
    """Parse a baseline file; those of the schema before have no hash."""
    if not isinstance(raw, dict):
        raise ValueError(f"it holds a {type(raw).__name__}, expected an object")
    schema = raw.get("schema")
    if isinstance(schema, bool) or schema not in (UNSEALED_SCHEMA, SCHEMA):
        raise ValueError(f"it is of schema {schema!r}, expected {SCHEMA}")
    record = parse_record(open_seal(raw) if schema == SCHEMA else raw, _BaselineRecord)
    return SpeedMeasurement(kind=record.kind, models=record.models)


def _split_models(record: BenchRecord) -> tuple[dict[str, Any], list[BenchEntry]]:
    """Return the conditions of a benchmark of models, and all entries but the first, which is the baseline."""
    machine, (first, *others) = record.machine, record.entries
    if missing := [name for name in ("cpu", "isa", "litert") if name not in machine]:
        raise ValueError(f"its 'machine' has no {missing[0]!r}")
    kind = {
        "cpu": machine["cpu"],
        "isa": machine["isa"],
        "litert": machine["litert"],
        "threads": record.threads,
        "first model": first.name,
        "its size_bytes": first.size_bytes,
        "its input_shape": None if first.input_shape is None else list(first.input_shape),
    }
    return kind, others


def _speed(entry: BenchEntry) -> Speed:
    if entry.noise is None:
        raise ValueError(f"the speedup of {entry.name!r} has no noise, and is not withheld")
    return Speed(speedup=entry.speedup, noise=entry.noise, size_bytes=entry.size_bytes)
