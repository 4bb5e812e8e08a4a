"""Reader of the JSON that the Swift package of `compress export coreml --swift` writes on an iPhone or a Mac.

The package's own README explains its keys. A file of another origin, torn or edited, is refused with the place in it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from compress.errors import UnusableInput
from compress.strict_json import Bounds, Length, Sha256, load_json, parse_record

KIT, SCHEMA = "pocketgan-ios", 1
COMPUTE_UNITS = ("cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine", "all")
THERMAL_STATES = ("unknown", "nominal", "fair", "serious", "critical")
"""Names of `ProcessInfo.ThermalState`, coolest first; unknown is one that the Swift package does not know."""

_Text = Annotated[str, Length(0, 1000)]
_Milliseconds = Annotated[float, Bounds(0, 1e9)]
_Count = Annotated[int, Bounds(1, 10**6)]
_Side = Annotated[int, Bounds(1, 1 << 16)]
_LEVELS, _MOST_SHOWN = 255, 200


@dataclass(frozen=True, kw_only=True)
class ModelRecord:
    """The model, as the Swift package writes it."""

    name: _Text
    precision: _Text
    package_sha256: Sha256
    size_bytes: Annotated[int, Bounds(1)]
    height_px: _Side
    width_px: _Side


@dataclass(frozen=True, kw_only=True)
class DeviceRecord:
    """The device."""

    identifier: _Text
    system: _Text
    system_version: _Text
    processors: _Count
    memory_bytes: Annotated[int, Bounds(1)]
    is_simulator: bool
    is_debug_build: bool


@dataclass(frozen=True, kw_only=True)
class UnitRecord:
    """One set of compute units: it has an `error`, or every measurement, of which the last three may be missing."""

    compute_units: _Text
    error: _Text | None = None
    load_ms: _Milliseconds | None = None
    first_prediction_ms: _Milliseconds | None = None
    rounds_ms: list[Annotated[float, Bounds(1e-9, 1e9)]] | None = None
    min_ms: _Milliseconds | None = None
    median_ms: _Milliseconds | None = None
    p95_ms: _Milliseconds | None = None
    mean_squared_difference: Annotated[float, Bounds(0, _LEVELS**2)] | None = None
    largest_difference: Annotated[int, Bounds(0, _LEVELS)] | None = None
    planned_operations: Mapping[str, Mapping[str, Annotated[int, Bounds(0, 10**6)]]] | None = None


@dataclass(frozen=True, kw_only=True)
class ReportRecord:
    """One run, without its `kit` and `schema`."""

    started: _Text
    model: ModelRecord
    device: DeviceRecord
    warmup: Annotated[int, Bounds(0, 10**6)]
    rounds: _Count
    predictions_per_turn: _Count
    compile_ms: _Milliseconds
    thermal_states: list[_Text]
    low_power_mode: bool
    units: list[UnitRecord]


_MEASURED = ("load_ms", "first_prediction_ms", "rounds_ms", "min_ms", "median_ms", "p95_ms")


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
        raw = load_json(path)
    except OSError as error:
        raise UnusableInput(f"{path} cannot be read ({error.strerror}); expected the Swift package's JSON.") from error
    except ValueError as error:
        raise UnusableInput(f"{path} is torn or no JSON ({error}); share the measurements once more.") from error
    if not isinstance(raw, dict) or raw.get("kit") != KIT:
        raise UnusableInput(
            f"{path} is no measurement of an iPhone; expected the JSON of the Swift package that "
            "`compress export coreml --swift` writes."
        )
    if type(raw.get("schema")) is not int or raw["schema"] != SCHEMA:
        raise UnusableInput(
            f"{path} has schema {raw.get('schema')!r}, expected {SCHEMA}. Read it with the version of PocketGAN that "
            "wrote the Swift package, or export the package anew and measure again."
        )
    try:
        return _report(path, {key: value for key, value in raw.items() if key not in ("kit", "schema")})
    except ValueError as error:
        raise UnusableInput(f"{path} is torn or was edited: {error}. Share the measurements once more.") from error


def _report(path: Path, raw: Mapping[str, Any]) -> Report:
    record = parse_record(raw, ReportRecord)
    states = record.thermal_states
    if len(states) != record.rounds + 1 or not set(states) <= set(THERMAL_STATES):
        expected = f"{record.rounds + 1} of {', '.join(THERMAL_STATES)}"
        raise ValueError(f"its 'thermal_states' are {ascii(states)[:_MOST_SHOWN]}, expected {expected}")
    if (names := [unit.compute_units for unit in record.units]) != list(COMPUTE_UNITS):
        raise ValueError(f"its 'units' are {ascii(names)[:_MOST_SHOWN]}, expected {', '.join(COMPUTE_UNITS)}")
    return Report(
        path=path,
        model=raw["model"],
        device=raw["device"],
        started=record.started,
        warmup=record.warmup,
        rounds=record.rounds,
        predictions_per_turn=record.predictions_per_turn,
        compile_ms=record.compile_ms,
        thermal_states=tuple(states),
        low_power_mode=record.low_power_mode,
        units=tuple(_unit(unit, rounds=record.rounds) for unit in record.units),
    )


def _unit(record: UnitRecord, *, rounds: int) -> ComputeUnit:
    name = record.compute_units
    if record.error is not None:
        return ComputeUnit(name=name, error=record.error)
    if missing := [key for key in _MEASURED if getattr(record, key) is None]:
        raise ValueError(f"its unit {name!r} has no {missing[0]!r}")
    latencies = tuple(record.rounds_ms or ())
    if len(latencies) != rounds:
        raise ValueError(f"its unit {name!r} has {len(latencies)} 'rounds_ms', expected {rounds}")
    unit = ComputeUnit(
        name=name,
        error=None,
        rounds_ms=latencies,
        load_ms=record.load_ms,
        first_prediction_ms=record.first_prediction_ms,
        mean_squared_difference=record.mean_squared_difference,
        largest_difference=record.largest_difference,
        planned_operations=record.planned_operations,
    )
    for key, computed in unit.latency_ms().items():
        if not math.isclose(written := getattr(record, f"{key}_ms"), computed, rel_tol=1e-6):
            raise ValueError(f"its unit {name!r} has '{key}_ms' = {written}, but its rounds give {computed}")
    return unit
