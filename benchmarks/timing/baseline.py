"""Baseline files: accepted speed-ups of models or of the toolkit's own commands.

`compress bench accept` writes them and `compress bench check` compares with them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from compress.errors import UnusableData
from compress.files.atomic import atomic_write_text

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Speed:
    """The measured speed-up and size of one model or command."""

    speedup: float
    """Ratio over the measurement's first model; of a command, over the fixed work that it is compared with."""
    noise: float
    """Noise of the speed-up, see `benchmarks.timing.noise.median_noise`."""
    size_bytes: int | None
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
    record = _read_object(path)
    try:
        # The published comparison holds its run of `bench host` beside other results.
        record = record.get("table", record)
        kind, others = (dict(record["kind"]), record["entries"]) if "kind" in record else _split_models(record)
        withheld = {entry["name"]: str(entry["withheld"]) for entry in others if entry["withheld"]}
        models = {entry["name"]: _speed(entry) for entry in others if not entry["withheld"]}
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a benchmark ({error!r}); expected what `compress bench host --out` or "
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
    record = _read_object(path)
    try:
        if record["schema"] != SCHEMA:
            raise ValueError(f"schema {record['schema']}, expected {SCHEMA}")
        models = {name: _speed(model) for name, model in record["models"].items()}
        return SpeedMeasurement(kind=dict(record["kind"]), models=models)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a baseline file ({error!r}); expected what `compress bench accept` writes."
        ) from error


def write_speed_baseline(measurement: SpeedMeasurement, path: Path, *, overwrite: bool = False) -> None:
    """Write a baseline file atomically, one line for each model, so that a commit shows which ones changed.

    Raises:
        UsageError: If it exists and `overwrite` is false.
    """
    models = ",\n".join(f"{json.dumps(name)}: {json.dumps(asdict(held))}" for name, held in measurement.models.items())
    text = f'{{\n"schema": {SCHEMA},\n"kind": {json.dumps(measurement.kind)},\n"models": {{\n{models}\n}}\n}}\n'
    atomic_write_text(path, text, overwrite=overwrite)


def _split_models(record: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the conditions of a benchmark of models, and all entries but the first, which is the baseline."""
    machine, (first, *others) = record["machine"], record["entries"]
    kind = {
        "cpu": machine["cpu"],
        "isa": machine["isa"],
        "litert": machine["litert"],
        "threads": record["threads"],
        "first model": first["name"],
        "its size_bytes": first["size_bytes"],
        "its input_shape": first["input_shape"],
    }
    return kind, others


def _speed(values: Mapping[str, Any]) -> Speed:
    speedup, noise = float(values["speedup"]), float(values["noise"])
    if not (0 < speedup < inf and 0 <= noise < inf):
        raise ValueError(f"a speed-up of {speedup} with a noise of {noise}")
    size_bytes = values["size_bytes"]
    return Speed(speedup=speedup, noise=noise, size_bytes=None if size_bytes is None else int(size_bytes))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableData(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict):
        raise UnusableData(f"{path} holds a {type(record).__name__}, expected an object.")
    return record
