"""Time `.tflite` models against each other on this machine.

Two runs at different times do not compare: machines get warm, other work comes and goes. So all models take turns
within one run, in an order that rotates, and a speed-up is the median of the ratios within each round. Where that is
still too uncertain, the entry says why and the speed-up is not printed.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any, Protocol

from ai_edge_litert.interpreter import Interpreter

from benchmarks.host.compiled import CompiledRunner, ask_litert_benchmark
from benchmarks.host.config import HostConfig
from benchmarks.host.roofline import PeakLayer, compare_with_peak, count_macs, find_peaks, open_peak_layers
from benchmarks.timing.machine import read_machine
from benchmarks.timing.noise import sum_waited_s, summarize_speedup, summarize_values, withheld_reason
from benchmarks.timing.start import measure_start
from compress.artifact import is_artifact, open_artifact
from compress.console.progress import progress
from compress.errors import UnusableArtifact, UnusableModel
from export.interpreter.checked_file import check_file
from export.interpreter.open_file import open_filled_file
from export.tflite.delegation import delegate_coverage

TURN_INVOKES = 5
TURN_MS = 50.0
"""A turn is `TURN_INVOKES` invokes, or fewer that take `TURN_MS`; their median counts. So a model of 3 ms is not at the
mercy of one interrupt, nor of caches that a model of 700 ms has just emptied."""

_log = logging.getLogger(__name__)


class Runnable(Protocol):
    """Anything that can be timed: one call is one image."""

    def invoke(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class TimedModel:
    """A model to time: the path that the user gave, and the `.tflite` file that it means."""

    name: str
    path: Path
    file: Path


@dataclass(frozen=True, kw_only=True)
class _InterpreterSet:
    """All models, and the layers that measure the peak, on one number of threads."""

    threads: int
    interpreters: list[Interpreter]
    layers: list[PeakLayer]
    compiled: list[CompiledRunner]
    """The same models in CompiledModel, where that was asked for."""

    @property
    def runnables(self) -> list[Runnable]:
        """All that takes turns, in the order of the columns of rounds."""
        return [*self.interpreters, *self.layers, *self.compiled]


def bench_host(config: HostConfig) -> dict[str, Any]:
    """Measure a baseline and its candidates in one interleaved run.

    Returns:
        JSON-ready: `machine`, `threads` (the first count that was asked for), `runs`, `interleaved`, `waiting` (share
        of the time in which other work held the processor; None where the system does not tell), `peak_gmacs_per_s`
        (by arithmetic, measured in the same rounds on `threads`), and `entries`, the baseline's first. Each has `name`,
        `threads`, `path`, `size_bytes`, `input_shape`, the latency of `summarize_model`, the rate of
        `compare_with_peak`, `withheld` (why the speed-up is not to be quoted, or None), the cold start of
        `measure_start`, `ops_total`, `ops_delegated`, `partitions` and `op_counts`. On further counts of threads, all
        models follow anew, each with its count in its name: their speed-ups are over the baseline on as many, their
        rates are compared with the peak on as many, and `over_first_threads` is the `summarize_speedup` over the same
        model on `threads`, with a `withheld` of its own. With `compiled_model`, each entry has what `_compare_compiled`
        returns under that name.

    Raises:
        UnusableModel: If a file is missing or cannot be run.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
    """
    models = find_models([config.baseline, *config.candidate])
    starts = [[measure_start(model.file, threads=threads) for model in models] for threads in config.threads]
    contents = [model.file.read_bytes() for model in models]
    coverage = [_count_operators(content) for content in contents]
    macs = [count_macs(content) for content in contents]
    machine = read_machine()
    sets = [_open_interpreters(models, threads, compiled=config.compiled_model) for threads in config.threads]
    _warn_of_different_inputs(models, sets[0].interpreters)
    rounds, waiting = _time_watched(sets, config)
    entries, peaks = [], []
    columns = len(sets[0].runnables)
    behind_layers = len(models) + len(sets[0].layers)
    for number, interpreter_set in enumerate(sets):
        own = [latencies[number * columns : (number + 1) * columns] for latencies in rounds]
        peaks.append(find_peaks(interpreter_set.layers, [latencies[len(models) : behind_layers] for latencies in own]))
        for position, model in enumerate(models):
            summary = summarize_model(own, position)
            gain = None
            if number > 0:
                gain = _gain_over_first_threads(rounds, number * columns + position, position, waiting)
            entries.append(
                {
                    "name": model.name if number == 0 else f"{model.name}, {interpreter_set.threads} threads",
                    "threads": interpreter_set.threads,
                    "path": str(model.path),
                    "size_bytes": len(contents[position]),
                    "input_shape": interpreter_set.interpreters[position].get_input_details()[0]["shape"].tolist(),
                    **summary,
                    # The baseline's ratio to itself is 1 whatever happens.
                    "withheld": withheld_reason(summary["noise"], waiting=waiting) if position else None,
                    "over_first_threads": gain,
                    **compare_with_peak(macs[position], summary["latency_ms"]["min"], peaks[number]),
                    **asdict(starts[number][position]),
                    **coverage[position],
                    **(
                        {"compiled_model": _compare_compiled(interpreter_set, models, position, own, waiting, config)}
                        if config.compiled_model
                        else {}
                    ),
                }
            )
    return {
        "machine": machine,
        "threads": config.threads[0],
        "runs": config.runs,
        "interleaved": True,
        "waiting": waiting,
        "peak_gmacs_per_s": peaks[0],
        "entries": entries,
    }


def find_models(paths: Sequence[Path]) -> list[TimedModel]:
    """Find the `.tflite` file behind each path and give each a name of its own.

    Artifacts are called as in their manifest, files by their stem; equal names get the path's last part added, then a
    number (the same model given twice shows how far a ratio can be trusted).

    Raises:
        UnusableModel: If a file is missing.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
    """
    found = [_find_file(path) for path in paths]
    names = [name for name, _ in found]
    names = [
        f"{name} ({path.name})" if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)
    ]
    seen: Counter[str] = Counter()
    models = []
    for name, path, (_, file) in zip(names, paths, found, strict=True):
        seen[name] += 1
        unique = f"{name} #{seen[name]}" if seen[name] > 1 else name
        models.append(TimedModel(name=unique, path=path, file=file))
    return models


def time_rounds(models: Sequence[Runnable], *, runs: int, warmup: int) -> list[list[float]]:
    """Let models take turns.

    Args:
        models: The models, in the order of the first round.
        runs: Rounds.
        warmup: Runs of each model before the first round.

    Returns:
        For each of `runs` rounds, the latency of each model, milliseconds.
    """
    for model in models:
        for _ in range(warmup):
            model.invoke()
    rounds = []
    for number in progress(range(runs), name="rounds", unit="round"):
        latencies = [0.0] * len(models)
        for offset in range(len(models)):
            position = (number + offset) % len(models)
            latencies[position] = _take_turn(models[position])
        rounds.append(latencies)
    return rounds


def summarize_model(rounds: Sequence[Sequence[float]], position: int) -> dict[str, Any]:
    """Summarize one model's turns.

    Args:
        rounds: Milliseconds of each model in each round, as `time_rounds` returns them.
        position: Index of the model; the first one is the baseline.

    Returns:
        `latency_ms` (min, median, p95 and max over rounds), and the `summarize_speedup` over the first model.
    """
    latencies = [latency[position] for latency in rounds]
    ratios = [latency[0] / latency[position] for latency in rounds]
    return {"latency_ms": summarize_values(latencies), **summarize_speedup(ratios)}


def _count_operators(content: bytes) -> dict[str, Any]:
    coverage = delegate_coverage(content)
    return {
        "ops_total": coverage.operators,
        "ops_delegated": coverage.operators - len(coverage.undelegated),
        "partitions": coverage.partitions,
        "op_counts": dict(coverage.op_counts.most_common()),
    }


def _open_interpreters(models: Sequence[TimedModel], threads: int, *, compiled: bool) -> _InterpreterSet:
    interpreters = [open_filled_file(model.file, threads=threads) for model in models]
    pairs = zip(models, interpreters, strict=True) if compiled else ()
    return _InterpreterSet(
        threads=threads,
        interpreters=interpreters,
        layers=open_peak_layers(threads=threads),
        compiled=[CompiledRunner(model.file, filled, threads=threads) for model, filled in pairs],
    )


def _compare_compiled(
    interpreter_set: _InterpreterSet,
    models: Sequence[TimedModel],
    position: int,
    rounds: Sequence[Sequence[float]],
    waiting: float | None,
    config: HostConfig,
) -> dict[str, Any]:
    """Return `latency_ms` in CompiledModel, its speed-up over Interpreter, `bit_equal`, and `litert_benchmark`."""
    column = len(models) + len(interpreter_set.layers) + position
    gain = summarize_speedup([latencies[position] / latencies[column] for latencies in rounds])
    return {
        "latency_ms": summarize_values([latencies[column] for latencies in rounds]),
        **gain,
        "withheld": withheld_reason(gain["noise"], waiting=waiting),
        "bit_equal": interpreter_set.compiled[position].equals(interpreter_set.interpreters[position]),
        "litert_benchmark": ask_litert_benchmark(
            models[position].file, threads=interpreter_set.threads, runs=config.runs
        ),
    }


def _time_watched(sets: Sequence[_InterpreterSet], config: HostConfig) -> tuple[list[list[float]], float | None]:
    """Let models take turns, and watch how much of that time their threads waited for a processor, as a share."""
    models = [model for one in sets for model in one.runnables]
    started, waited = time.perf_counter(), sum_waited_s()
    rounds = time_rounds(models, runs=config.runs, warmup=config.warmup)
    took, waited_in_all = time.perf_counter() - started, sum_waited_s()
    if waited is None or waited_in_all is None:
        return rounds, None
    return rounds, (waited_in_all - waited) / (took * fmean(config.threads))


def _gain_over_first_threads(
    rounds: Sequence[Sequence[float]], position: int, first: int, waiting: float | None
) -> dict[str, Any]:
    """Return the speed-up of a model over itself on the first count of threads."""
    gain = summarize_speedup([latencies[first] / latencies[position] for latencies in rounds])
    return gain | {"withheld": withheld_reason(gain["noise"], waiting=waiting)}


def _take_turn(model: Runnable) -> float:
    """Return the median latency of the invokes of one turn, milliseconds."""
    latencies: list[float] = []
    while len(latencies) < TURN_INVOKES and sum(latencies) < TURN_MS:
        started = time.perf_counter_ns()
        model.invoke()
        latencies.append((time.perf_counter_ns() - started) / 1e6)
    return median(latencies)


def _find_file(path: Path) -> tuple[str, Path]:
    """Return the name and the `.tflite` file of what a path means."""
    if is_artifact(path):
        artifact = open_artifact(path)
        if artifact.manifest.format != "tflite":
            raise UnusableArtifact(
                f"{path} holds {artifact.model_path.name}, but this times .tflite; "
                "run `compress export tflite` on it first."
            )
        check_file(artifact.model_path)
        return artifact.manifest.name, artifact.model_path
    if not path.is_file():
        raise UnusableModel(f"{path} does not exist; expected a .tflite file or an artifact that holds one.")
    check_file(path)
    return path.stem, path


def _warn_of_different_inputs(models: Sequence[TimedModel], interpreters: Sequence[Interpreter]) -> None:
    shapes = [tuple(interpreter.get_input_details()[0]["shape"][:3].tolist()) for interpreter in interpreters]
    for model, shape in zip(models, shapes, strict=True):
        if shape != shapes[0]:
            _log.warning(
                "%s takes %s and %s takes %s: their speed-up is not that of equal work.",
                model.name,
                _readable_input(shape),
                models[0].name,
                _readable_input(shapes[0]),
            )


def _readable_input(shape: Sequence[int]) -> str:
    images, *sides = shape
    return "x".join(map(str, sides)) + (f" pixels, {images} images at a time" if images != 1 else " pixels")
