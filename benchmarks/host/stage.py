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
from tqdm import tqdm

from benchmarks.config import HostConfig
from benchmarks.host.coverage import operator_coverage
from benchmarks.host.roofline import RoofLayer, count_macs, find_peaks, place_under_roof, roof_layers
from benchmarks.timing.machine import describe_machine
from benchmarks.timing.noise import seconds_waited, speedup_of, summed_up, why_withheld
from benchmarks.timing.start import measure_start
from compress.artifact import is_artifact, open_artifact
from compress.errors import UnusableArtifact, UnusableModel
from export.interpreter.litert_benchmark import open_interpreter

TURN_INVOKES = 5
TURN_MS = 50.0
"""A turn is `TURN_INVOKES` invokes, or fewer that take `TURN_MS`; their median counts. So a model of 3 ms is not at the
mercy of one interrupt, nor of caches that a model of 700 ms has just emptied."""

_log = logging.getLogger(__name__)


class Runnable(Protocol):
    """What is timed: one call is one image."""

    def invoke(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A model that takes part: the path that the user gave, and the `.tflite` file that it means."""

    name: str
    path: Path
    model: Path


def bench_host(config: HostConfig) -> dict[str, Any]:
    """Measure a baseline and its candidates in one interleaved run.

    Returns:
        JSON-ready: `machine`, `threads` (the first count that was asked for), `runs`, `interleaved`, `waiting` (share
        of the time in which other work held the processor; None where the system does not tell), `peak_gmacs_per_s`
        (by arithmetic, measured in the same rounds on `threads`), and `entries`, the baseline's first. Each has `name`,
        `threads`, `path`, `size_bytes`, `input_shape`, what `summarize` tells of its latency and `place_under_roof` of
        its rate, `withheld` (why the speed-up is not to be quoted, or None), what `measure_start` tells of its first
        moments, `ops_total`, `ops_delegated`, `partitions` and `op_counts`. On further counts of threads, all models
        follow anew, each with its count in its name: their speed-ups are over the baseline on as many, their rates
        under a roof on as many, and `over_first_threads` is what `speedup_of` tells of them over the same model on
        `threads`, with a `withheld` of its own.

    Raises:
        UnusableModel: If a file is missing or cannot be run.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
    """
    contenders = find_contenders([config.baseline, *config.candidate])
    starts = [
        [measure_start(contender.model, threads=threads) for contender in contenders] for threads in config.threads
    ]
    coverage = [operator_coverage(contender.model) for contender in contenders]
    macs = [count_macs(contender.model.read_bytes()) for contender in contenders]
    machine = describe_machine()
    teams = [_open_team(contenders, threads) for threads in config.threads]
    _warn_of_different_inputs(contenders, teams[0].interpreters)
    rounds, waiting = _time_watched(teams, config)
    entries, peaks = [], []
    members = len(contenders) + len(teams[0].layers)
    for number, team in enumerate(teams):
        own = [latencies[number * members : (number + 1) * members] for latencies in rounds]
        peaks.append(find_peaks(team.layers, [latencies[len(contenders) :] for latencies in own]))
        for position, contender in enumerate(contenders):
            summary = summarize(own, position)
            entries.append(
                {
                    "name": contender.name if number == 0 else f"{contender.name}, {team.threads} threads",
                    "threads": team.threads,
                    "path": str(contender.path),
                    "size_bytes": contender.model.stat().st_size,
                    "input_shape": team.interpreters[position].get_input_details()[0]["shape"].tolist(),
                    **summary,
                    # The baseline's ratio to itself is 1 whatever happens.
                    "withheld": why_withheld(summary["noise"], waiting=waiting) if position else None,
                    "over_first_threads": _over_first_team(rounds, number * members + position, position, waiting),
                    **place_under_roof(macs[position], summary["latency_ms"]["min"], peaks[number]),
                    **asdict(starts[number][position]),
                    **asdict(coverage[position]),
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


def find_contenders(paths: Sequence[Path]) -> list[Contender]:
    """Find the `.tflite` file behind each path and give each a name of its own.

    Artifacts are called as in their manifest, files by their stem; equal names get the path's last part added, then a
    number (the same model given twice shows how far a ratio can be trusted).

    Raises:
        UnusableModel: If a file is missing.
        UnusableArtifact: If an artifact is torn or holds no `.tflite`.
    """
    found = [_find_model(path) for path in paths]
    names = [name for name, _ in found]
    names = [
        f"{name} ({path.name})" if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)
    ]
    seen: Counter[str] = Counter()
    contenders = []
    for name, path, (_, model) in zip(names, paths, found, strict=True):
        seen[name] += 1
        unique = f"{name} #{seen[name]}" if seen[name] > 1 else name
        contenders.append(Contender(name=unique, path=path, model=model))
    return contenders


def time_rounds(models: Sequence[Runnable], *, runs: int, warmup: int) -> list[list[float]]:
    """Let models take turns.

    Args:
        models: Who takes part.
        runs: Rounds.
        warmup: Runs of each model before the first round.

    Returns:
        For each of `runs` rounds, the latency of each model, milliseconds.
    """
    for model in models:
        for _ in range(warmup):
            model.invoke()
    rounds = []
    for number in tqdm(range(runs), desc="rounds", disable=None):
        latencies = [0.0] * len(models)
        for offset in range(len(models)):
            position = (number + offset) % len(models)
            latencies[position] = _take_turn(models[position])
        rounds.append(latencies)
    return rounds


def summarize(rounds: Sequence[Sequence[float]], position: int) -> dict[str, Any]:
    """Sum up one model's turns.

    Args:
        rounds: Milliseconds of each model in each round, as `time_rounds` returns them.
        position: The model's; the first is what it is compared with.

    Returns:
        `latency_ms` (min, median, p95 and max over rounds), and what `speedup_of` tells of the ratios to the first
        model.
    """
    latencies = [latency[position] for latency in rounds]
    ratios = [latency[0] / latency[position] for latency in rounds]
    return {
        "latency_ms": summed_up(latencies),
        **speedup_of(ratios),
    }


@dataclass(frozen=True, kw_only=True)
class _Team:
    """All models, and the layers that make their roof, on one count of threads."""

    threads: int
    interpreters: list[Interpreter]
    layers: list[RoofLayer]


def _open_team(contenders: Sequence[Contender], threads: int) -> _Team:
    interpreters = [open_interpreter(contender.model, threads=threads) for contender in contenders]
    return _Team(threads=threads, interpreters=interpreters, layers=roof_layers(threads=threads))


def _time_watched(teams: Sequence[_Team], config: HostConfig) -> tuple[list[list[float]], float | None]:
    """Let models take turns, and watch how much of that time their threads waited for a processor, as a share."""
    models = [model for team in teams for model in (*team.interpreters, *team.layers)]
    started, waited = time.perf_counter(), seconds_waited()
    rounds = time_rounds(models, runs=config.runs, warmup=config.warmup)
    took, waited_in_all = time.perf_counter() - started, seconds_waited()
    if waited is None or waited_in_all is None:
        return rounds, None
    return rounds, (waited_in_all - waited) / (took * fmean(config.threads))


def _over_first_team(
    rounds: Sequence[Sequence[float]], position: int, first: int, waiting: float | None
) -> dict[str, Any] | None:
    """What another count of threads gains a model over itself; None of the first count."""
    if position == first:
        return None
    gain = speedup_of([latencies[first] / latencies[position] for latencies in rounds])
    return gain | {"withheld": why_withheld(gain["noise"], waiting=waiting)}


def _take_turn(model: Runnable) -> float:
    """The median latency of its invokes, milliseconds."""
    latencies: list[float] = []
    while len(latencies) < TURN_INVOKES and sum(latencies) < TURN_MS:
        started = time.perf_counter_ns()
        model.invoke()
        latencies.append((time.perf_counter_ns() - started) / 1e6)
    return median(latencies)


def _find_model(path: Path) -> tuple[str, Path]:
    if is_artifact(path):
        artifact = open_artifact(path)
        if artifact.manifest.format != "tflite":
            raise UnusableArtifact(
                f"{path} holds a {artifact.manifest.format} model, but this times .tflite; "
                "run `compress export tflite` on it first."
            )
        return artifact.manifest.name, artifact.model_path
    if not path.is_file():
        raise UnusableModel(f"{path} does not exist; expected a .tflite file or an artifact that holds one.")
    return path.stem, path


def _warn_of_different_inputs(contenders: Sequence[Contender], interpreters: Sequence[Interpreter]) -> None:
    shapes = [tuple(interpreter.get_input_details()[0]["shape"][1:3].tolist()) for interpreter in interpreters]
    for contender, shape in zip(contenders, shapes, strict=True):
        if shape != shapes[0]:
            _log.warning(
                "%s takes %s pixels and %s takes %s: their speed-up is not that of equal work.",
                contender.name,
                "x".join(map(str, shape)),
                contenders[0].name,
                "x".join(map(str, shapes[0])),
            )
