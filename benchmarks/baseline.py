"""Accepted speed-ups: what `compress bench accept` writes and `compress bench check` compares with."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any

from compress.artifact import write_text_whole
from compress.errors import UnusableData

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What is held of one model."""

    speedup: float
    """Over the measurement's first model."""
    noise: float
    """See `benchmarks.noise.ratio_noise`."""
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The speed-ups of one benchmark, and what they hold for."""

    kind: dict[str, Any]
    """What must be the same for two measurements to compare: processor, its instruction sets, threads, LiteRT, and the
    name, size and input shape of the first model."""
    models: dict[str, Speed]


def read_benchmark(path: Path) -> Measurement:
    """Read what `compress bench host` wrote.

    Raises:
        UnusableData: If it is no benchmark, or one whose ratios are too noisy to be quoted.
    """
    record = _read_object(path)
    try:
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
        noisy = {entry["name"]: entry["withheld"] for entry in others if entry["withheld"]}
        models = {} if noisy else {entry["name"]: _speed(entry) for entry in others}
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a benchmark ({error!r}); expected what `compress bench host --out` writes."
        ) from error
    if noisy:
        told = "\n".join(f"{name}: {why}." for name, why in noisy.items())
        raise UnusableData(f"{path} is too noisy; measure again while the machine does nothing else.\n{told}")
    if not models:
        raise UnusableData(f"{path} holds a single model; expected the baseline's and at least one candidate's.")
    return Measurement(kind=kind, models=models)


def read_baseline(path: Path) -> Measurement:
    """Read a baseline file.

    Raises:
        UnusableData: If it is missing, or not what `compress bench accept` writes.
    """
    record = _read_object(path)
    try:
        if record["schema"] != SCHEMA:
            raise ValueError(f"schema {record['schema']}, expected {SCHEMA}")
        models = {name: _speed(model) for name, model in record["models"].items()}
        return Measurement(kind=dict(record["kind"]), models=models)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableData(
            f"{path} cannot be read as a baseline file ({error!r}); expected what `compress bench accept` writes."
        ) from error


def write_baseline(measurement: Measurement, path: Path, *, overwrite: bool = False) -> None:
    """Write a baseline file whole, one line for each model, so that a commit shows which ones changed.

    Raises:
        UsageError: If it exists and `overwrite` is false.
    """
    models = ",\n".join(f"{json.dumps(name)}: {json.dumps(asdict(held))}" for name, held in measurement.models.items())
    text = f'{{\n"schema": {SCHEMA},\n"kind": {json.dumps(measurement.kind)},\n"models": {{\n{models}\n}}\n}}\n'
    write_text_whole(path, text, overwrite=overwrite)


def _speed(values: Mapping[str, Any]) -> Speed:
    speedup, noise = float(values["speedup"]), float(values["noise"])
    if not (0 < speedup < inf and 0 <= noise < inf):
        raise ValueError(f"a speed-up of {speedup} with a noise of {noise}")
    return Speed(speedup=speedup, noise=noise, size_bytes=int(values["size_bytes"]))


def _read_object(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableData(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict):
        raise UnusableData(f"{path} holds a {type(record).__name__}, expected an object.")
    return record
