"""Time `.tflite` models on a phone, in turns: a turn is one process of `benchmark_model` on one model and backend.

Before the first round, each model is examined once on each backend, with the op profile and the watch over memory that
would disturb a timed turn. A pair that fails there is not timed.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.android import transcript
from benchmarks.android.binary import device_command, read_binary
from benchmarks.android.config import AndroidConfig, Backend
from benchmarks.android.device import Phone, find_phone, require_adbutils
from benchmarks.android.facts import find_fastest_cores, read_phone, read_thermal_state
from benchmarks.android.parity import HostOutput
from benchmarks.host.stage import TimedModel, find_models
from benchmarks.timing.noise import summarize_speedup, withheld_reason
from compress.console.progress import progress
from compress.errors import UnusableModel, UsageError

_MEDIANS = ("init_ms", "first_inference_ms", "warmup_ms", "std_ms")
"""Timings of a turn whose median over rounds is in the record."""
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Run:
    """One model on one backend."""

    model: TimedModel
    position: int
    backend: Backend
    host_output: HostOutput | None
    error: str | None = None
    examined: dict[str, Any] = field(default_factory=dict)
    turns: list[transcript.Timings] = field(default_factory=list)


class _Bench:
    """The phone with everything pushed that a run needs."""

    def __init__(self, phone: Phone, folder: str, config: AndroidConfig, cores: list[int]) -> None:
        self._phone, self._folder, self._config, self._cores = phone, folder, config, cores

    def push(self, binary: bytes, runs: Sequence[_Run]) -> None:
        self._phone.push(binary, f"{self._folder}/benchmark_model", mode=0o755)
        for run in {run.position: run for run in runs}.values():
            self._phone.push(run.model.file.read_bytes(), self._model(run))
            if run.host_output is not None:
                self._phone.push(run.host_output.input.tobytes(), self._input(run))

    def examine(self, run: _Run) -> None:
        """Run a model once on a backend for its delegation, memory, op profile and parity."""
        flags = {"enable_op_profiling": True, "report_peak_memory_footprint": True}
        text = self._invoke(run, flags | self._input_flags(run))
        if text is None:
            return
        delegation = transcript.read_delegation(text, run.backend)
        # It would be timed all the same, on the CPU.
        if delegation.extent == "not" and run.backend != "cpu":
            run.error = transcript.find_refusal_reason(text, run.backend)
            return
        memory = transcript.read_memory(text)
        run.examined = {
            "delegation": asdict(delegation) | {"unsupported": list(delegation.unsupported)},
            "memory": None if memory is None else asdict(memory),
            "profile": [asdict(node) for node in transcript.read_profile(text)],
            "parity": self._parity(run),
        }

    def take_turn(self, run: _Run) -> None:
        """Time one process."""
        text = self._invoke(run, {})
        if text is not None:
            run.turns.append(transcript.read_timings(text))

    def _invoke(self, run: _Run, flags: dict[str, Any]) -> str | None:
        """Run one process and return its output; None where it failed, with the error noted in `run`."""
        config = self._config
        effort = {"graph": self._model(run), "num_threads": config.threads, "num_runs": config.invokes}
        code, text = self._phone.shell(*device_command(self._folder, run.backend, effort | flags, cores=self._cores))
        if code == 0:
            try:
                transcript.read_timings(text)
                return text
            except ValueError as error:
                run.error = str(error)
        else:
            run.error = transcript.find_failure_reason(text, code)
        _log.warning("%s on %s: %s.", run.model.name, run.backend, run.error)
        return None

    def _input_flags(self, run: _Run) -> dict[str, Any]:
        if run.host_output is None:
            return {}
        # The name need not be the file's; benchmark_model only warns of it.
        return {
            "input_layer": "photo",
            "input_layer_shape": ",".join(map(str, run.host_output.shape)),
            "input_layer_value_files": f"photo:{self._input(run)}",
            "output_filepath": self._output(run),
        }

    def _parity(self, run: _Run) -> dict[str, Any] | None:
        if run.host_output is None:
            return None
        written = self._phone.fetch(self._output(run))
        if written is None:
            return {"error": "benchmark_model wrote no output; a newer one knows --output_filepath"}
        try:
            return run.host_output.compare(written).as_json()
        except ValueError as error:
            return {"error": str(error)}

    def _model(self, run: _Run) -> str:
        return f"{self._folder}/model{run.position}.tflite"

    def _input(self, run: _Run) -> str:
        return f"{self._folder}/input{run.position}.raw"

    def _output(self, run: _Run) -> str:
        return f"{self._folder}/output{run.position}_{run.backend}.raw"


def bench_android(models: Sequence[Path], config: AndroidConfig) -> dict[str, Any]:
    """Measure models on a phone in one interleaved run; the first one is what the others are compared with.

    Nothing that was pushed stays on the phone.

    Returns:
        JSON-ready: `device` (see `read_phone`), `thermal` (`before` and `after`), `pinned_cores`, `benchmark_binary`,
        `threads`, `runs`, `interleaved`, `litert` (this machine's, of the comparison), and `entries`, one for each
        model and backend. Each has `name`, `path`, `size_bytes`, `backend` and either `error` or `latency_ms` (min,
        median and max over rounds), `init_ms`, `first_inference_ms`, `warmup_ms`, `std_ms` and `p95_ms` (medians over
        rounds), `speedup` over the first model on the same backend with `speedup_range`, `noise` and `withheld` as
        `bench host` has them, `delegation`, `memory`, `profile` and `parity`.

    Raises:
        UsageError: If adbutils is missing, or the phone is not named unmistakably.
        UnusableDevice: If the phone is not ready, is full, or stops answering.
        UnusableModel: If a file is missing, or none of them ran on any backend.
    """
    require_adbutils()
    if not models:
        raise UsageError("no model was given; pass the baseline's .tflite first, then those to compare with it.")
    timed = find_models(models)
    photo = config.check
    host_outputs = [HostOutput(model.file, photo) if photo else None for model in timed]
    runs = [
        _Run(model=model, position=position, backend=backend, host_output=host_outputs[position])
        for position, model in enumerate(timed)
        for backend in dict.fromkeys(config.backend)
    ]
    phone = find_phone(config.serial)
    device = read_phone(phone)
    path = config.benchmark_binary or Path()
    binary = read_binary(path, abi=device["abi"])
    cores = find_fastest_cores(phone, count=config.threads)
    if not cores:
        _log.warning("%s does not let its fast cores be chosen; latencies may be those of slow ones.", phone.name)
    with phone.scratch_folder() as folder:
        bench = _Bench(phone, folder, config, cores)
        bench.push(binary, runs)
        thermal = {"before": read_thermal_state(phone)}
        _measure(bench, runs, rounds=config.runs)
        thermal["after"] = read_thermal_state(phone)
    return {
        "device": device,
        "thermal": thermal,
        "pinned_cores": cores,
        "benchmark_binary": {"path": str(path), "sha256": hashlib.sha256(binary).hexdigest()},
        "threads": config.threads,
        "runs": config.runs,
        "interleaved": True,
        "litert": metadata.version("ai-edge-litert"),
        "entries": [_entry(run, _baseline(run, runs)) for run in runs],
    }


def _measure(bench: _Bench, runs: Sequence[_Run], *, rounds: int) -> None:
    for run in progress(runs, name="examine", unit="model"):
        bench.examine(run)
    _require_any(runs)
    for number in progress(range(rounds), name="rounds", unit="round"):
        for offset in range(len(runs)):
            run = runs[(number + offset) % len(runs)]
            if run.error is None:
                bench.take_turn(run)
    _require_any(runs)


def _require_any(runs: Sequence[_Run]) -> None:
    if all(run.error for run in runs):
        failures = "\n".join(f"{run.model.name} on {run.backend}: {run.error}." for run in runs)
        raise UnusableModel(f"nothing ran on the phone.\n{failures}")


def _baseline(run: _Run, runs: Sequence[_Run]) -> _Run:
    return next(other for other in runs if other.position == 0 and other.backend == run.backend)


def _entry(run: _Run, baseline: _Run) -> dict[str, Any]:
    entry = {
        "name": run.model.name,
        "path": str(run.model.path),
        "size_bytes": run.model.file.stat().st_size,
        "backend": run.backend,
        "error": run.error,
    }
    if run.error is not None:
        return entry
    latencies = [turn.typical_ms for turn in run.turns]
    tails = [turn.p95_ms for turn in run.turns if turn.p95_ms is not None]
    return {
        **entry,
        "latency_ms": {"min": min(latencies), "median": median(latencies), "max": max(latencies)},
        **{name: median(getattr(turn, name) for turn in run.turns) for name in _MEDIANS},
        "p95_ms": median(tails) if tails else None,
        **_speedup(run, baseline),
        **run.examined,
    }


def _speedup(run: _Run, baseline: _Run) -> dict[str, Any]:
    if baseline.error is not None:
        why = f"{baseline.model.name} did not run on {run.backend}"
        return {"speedup": None, "speedup_range": None, "noise": None, "withheld": why}
    pairs = zip(baseline.turns, run.turns, strict=True)
    ratios = [before.typical_ms / after.typical_ms for before, after in pairs]
    speedup = summarize_speedup(ratios)
    return speedup | {"withheld": withheld_reason(speedup["noise"]) if run is not baseline else None}
