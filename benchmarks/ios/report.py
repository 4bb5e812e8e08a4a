"""Reader of the JSON that the Swift package of `compress export coreml --swift` writes on an iPhone or a Mac.

The package's own README explains its keys. A file of another origin, torn or edited, is refused with the place in it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from compress.errors import UnusableInput

KIT, SCHEMA = "pocketgan-ios", 1
COMPUTE_UNITS = ("cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine", "all")
THERMAL_STATES = ("unknown", "nominal", "fair", "serious", "critical")
"""Names of `ProcessInfo.ThermalState`, coolest first; unknown is one that the Swift package does not know."""

_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
}
REPORT_KEYS: Mapping[str, type] = {
    "kit": str,
    "schema": int,
    "started": str,
    "model": dict,
    "device": dict,
    "warmup": int,
    "rounds": int,
    "predictions_per_turn": int,
    "compile_ms": float,
    "thermal_states": list,
    "low_power_mode": bool,
    "units": list,
}
MODEL_KEYS: Mapping[str, type] = {
    "name": str,
    "precision": str,
    "package_sha256": str,
    "size_bytes": int,
    "height_px": int,
    "width_px": int,
}
DEVICE_KEYS: Mapping[str, type] = {
    "identifier": str,
    "system": str,
    "system_version": str,
    "processors": int,
    "memory_bytes": int,
    "is_simulator": bool,
    "is_debug_build": bool,
}
MEASURED_KEYS: Mapping[str, type] = {
    "load_ms": float,
    "first_prediction_ms": float,
    "rounds_ms": list,
    "min_ms": float,
    "median_ms": float,
    "p95_ms": float,
}
"""Keys of a compute unit: it has all of them or an `error`."""
OPTIONAL_KEYS: Mapping[str, type] = {
    "mean_squared_difference": float,
    "largest_difference": int,
    "planned_operations": dict,
}


@dataclass(frozen=True, kw_only=True)
class ComputeUnit:
    """Measurements of one set of compute units; durations in milliseconds."""

    name: str
    error: str | None
    """Reason why nothing was measured; the other fields are empty then."""
    rounds_ms: tuple[float, ...] = ()
    load_ms: float | None = None
    first_prediction_ms: float | None = None
    mean_squared_difference: float | None = None
    """Difference of its picture to the export's own evaluation, in steps of 1/255; None where not compared."""
    largest_difference: int | None = None
    planned_operations: Mapping[str, Mapping[str, int]] | None = None
    """Operators, and how many of each Core ML plans to run on which device; None where the system does not say."""

    @property
    def psnr_db(self) -> float | None:
        """PSNR of its picture to the export's own evaluation; infinite for the same picture."""
        if self.mean_squared_difference is None:
            return None
        if self.mean_squared_difference == 0:
            return math.inf
        return 10 * math.log10(255**2 / self.mean_squared_difference)

    def latency_ms(self) -> dict[str, float]:
        """Return the least, the median and the 95th percentile of its rounds."""
        return {"min": min(self.rounds_ms), "median": median(self.rounds_ms), "p95": p95(self.rounds_ms)}


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run of the Swift package."""

    path: Path
    model: Mapping[str, Any]
    device: Mapping[str, Any]
    started: str
    warmup: int
    rounds: int
    predictions_per_turn: int
    compile_ms: float
    thermal_states: tuple[str, ...]
    low_power_mode: bool
    units: tuple[ComputeUnit, ...]

    def unit(self, name: str) -> ComputeUnit | None:
        """Return the compute units of that name; None where they were not measured."""
        return next((unit for unit in self.units if unit.name == name and unit.error is None), None)


def p95(values: tuple[float, ...]) -> float:
    """Return the smallest value that 95 % of the values do not exceed, as the Swift package computes it."""
    return sorted(values)[(95 * len(values) + 99) // 100 - 1]


def read_report(path: Path) -> Report:
    """Read and check a report.

    Raises:
        UnusableInput: If the file is missing, torn, edited, of another origin or of another schema.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableInput(f"{path} cannot be read ({error.strerror}); expected the Swift package's JSON.") from error
    except ValueError as error:
        raise UnusableInput(f"{path} is torn or no JSON ({error}); share the measurements once more.") from error
    if not isinstance(raw, dict) or raw.get("kit") != KIT:
        raise UnusableInput(
            f"{path} is no measurement of an iPhone; expected the JSON of the Swift package that "
            "`compress export coreml --swift` writes."
        )
    if raw.get("schema") != SCHEMA:
        raise UnusableInput(
            f"{path} has schema {raw.get('schema')!r}, expected {SCHEMA}. Read it with the version of PocketGAN that "
            "wrote the Swift package, or export the package anew and measure again."
        )
    try:
        return _report(path, raw)
    except ValueError as error:
        raise UnusableInput(f"{path} is torn or was edited: {error}. Share the measurements once more.") from error


def _report(path: Path, raw: dict[str, Any]) -> Report:
    _require(raw, REPORT_KEYS, "the report")
    _require(raw["model"], MODEL_KEYS, "model")
    _require(raw["device"], DEVICE_KEYS, "device")
    if raw["rounds"] < 1:
        raise ValueError(f"rounds = {raw['rounds']}, expected at least 1")
    states = raw["thermal_states"]
    if len(states) != raw["rounds"] + 1 or not set(states) <= set(THERMAL_STATES):
        raise ValueError(f"thermal_states = {states}, expected {raw['rounds'] + 1} of {', '.join(THERMAL_STATES)}")
    units = tuple(_unit(entry, rounds=raw["rounds"]) for entry in raw["units"])
    if [unit.name for unit in units] != list(COMPUTE_UNITS):
        raise ValueError(f"units are {[unit.name for unit in units]}, expected {list(COMPUTE_UNITS)}")
    rest = {key: raw[key] for key in REPORT_KEYS if key not in ("kit", "schema", "thermal_states", "units")}
    return Report(path=path, thermal_states=tuple(states), units=units, **rest)


def _unit(raw: Any, *, rounds: int) -> ComputeUnit:
    _require(raw, {"compute_units": str}, "a unit")
    name = raw["compute_units"]
    if "error" in raw:
        _require(raw, {"error": str}, name)
        return ComputeUnit(name=name, error=raw["error"])
    _require(raw, MEASURED_KEYS, name)
    _require(raw, {key: kind for key, kind in OPTIONAL_KEYS.items() if key in raw}, name)
    latencies = raw["rounds_ms"]
    if len(latencies) != rounds or not all(_is_kind(latency, float) and latency > 0 for latency in latencies):
        raise ValueError(f"{name} has {len(latencies)} rounds_ms, expected {rounds} numbers above 0")
    unit = ComputeUnit(
        name=name,
        error=None,
        rounds_ms=tuple(latencies),
        load_ms=raw["load_ms"],
        first_prediction_ms=raw["first_prediction_ms"],
        mean_squared_difference=raw.get("mean_squared_difference"),
        largest_difference=raw.get("largest_difference"),
        planned_operations=_planned(raw.get("planned_operations"), name),
    )
    for key, computed in unit.latency_ms().items():
        if not math.isclose(raw[f"{key}_ms"], computed, rel_tol=1e-6):
            raise ValueError(f"{name} has {key}_ms = {raw[f'{key}_ms']}, but its rounds give {computed}")
    return unit


def _planned(raw: Any, unit: str) -> Mapping[str, Mapping[str, int]] | None:
    if raw is None:
        return None
    for operator, devices in raw.items():
        if not isinstance(devices, dict) or not all(_is_kind(count, int) for count in devices.values()):
            raise ValueError(f"{unit} plans {operator} as {devices!r}, expected a number for each device")
    return raw


def _require(table: Any, keys: Mapping[str, type], place: str) -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{place} is {table!r}, expected a table")
    for key, kind in keys.items():
        if key not in table:
            raise ValueError(f"{place} has no {key}")
        if not _is_kind(table[key], kind):
            raise ValueError(f"{place} has {key} = {table[key]!r}, expected {_KINDS[kind]}")


def _is_kind(value: Any, kind: type) -> bool:
    """Tell whether a JSON value is of a kind; Swift writes whole numbers without a point, and no number is below 0."""
    if kind not in (int, float):
        return isinstance(value, kind)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return (whole or (kind is float and isinstance(value, float) and math.isfinite(value))) and value >= 0
