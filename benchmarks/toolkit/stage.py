"""Time the toolkit's own commands against fixed work, in interleaved rounds.

All take turns in an order that rotates, each in processes of its own and mingled with its calibrator, the fixed work
that it is compared with: a round takes minutes, in which a shared machine is not equally fast. A ratio is the median
over such neighbours, so `bench accept` and `bench check` treat it like the speed-up of a model.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.timing.machine import read_machine
from benchmarks.timing.noise import summarize_speedup, summarize_values, withheld_reason
from benchmarks.toolkit import children
from benchmarks.toolkit.config import ToolkitConfig
from benchmarks.toolkit.workloads import Suite, Workload, build_suites
from compress.console.progress import progress

TURN_S = 4.0
"""Seconds that a turn gives to a command, and as many to its calibrator; each runs at least once. On two idle cores of
a shared machine, starting a process takes 14 % more or less from one time to the next: ratios of single runs vary by
13 %, those of medians of 20 by 5 %."""
_PACKAGES = ("ai-edge-litert", "coremltools", "cyclopts", "keras", "numpy", "tensorflow", "torch", "torch-fidelity")
"""Packages whose versions must be the same for two measurements to compare: their imports are most of the time."""


@dataclass
class WaitingTime:
    """Total duration of all processes, and the seconds that their main threads waited for a processor."""

    seconds: float = 0.0
    waited_s: list[float | None] = field(default_factory=list)

    @property
    def waiting(self) -> float | None:
        """Share of the duration that was waited; None where the system does not tell."""
        known = [waited for waited in self.waited_s if waited is not None]
        return sum(known) / self.seconds if known and len(known) == len(self.waited_s) else None


def bench_toolkit(config: ToolkitConfig) -> dict[str, Any]:
    """Measure the toolkit on untrained generators and pictures of noise that it makes itself.

    Returns:
        JSON-ready: the result of `measure_workloads`, and `machine`, `kind` (the conditions that must be the same for
        two measurements to compare), `runs`, `interleaved` and `skipped` (workloads and the modules they lack).

    Raises:
        RuntimeError: If a command fails.
    """
    # Before the benchmark's own work is in the load average.
    machine = read_machine()
    with tempfile.TemporaryDirectory(prefix="pocketgan-bench-") as name:
        folder = Path(name)
        inputs = folder / "inputs"
        inputs.mkdir()
        children.run_python(
            ["-P", "-m", "benchmarks.toolkit.inputs", inputs], children.child_environment(folder / "cache")
        )
        wanted = build_suites(inputs, short=config.short)
        skipped = {one.name: missing for suite in wanted for one in suite.workloads if (missing := one.find_missing())}
        present = [
            Suite(
                calibrator=suite.calibrator, workloads=tuple(one for one in suite.workloads if not one.find_missing())
            )
            for suite in wanted
        ]
        # Not timed: it brings the libraries' files into memory, where all rounds find them.
        for one in (one for suite in present for one in suite.workloads if one.warms):
            children.run_python(one.command(folder / "out"), children.child_environment(folder / "cache"))
        measured = measure_workloads(present, folder, config)
    kind = {
        "benchmark": "toolkit",
        **{name: machine[name] for name in ("cpu", "cores", "isa", "python")},
        "packages": {package: _version(package) for package in _PACKAGES},
        "over": [suite.calibrator.name for suite in wanted],
    }
    return {
        "kind": kind,
        "machine": machine,
        "runs": config.runs,
        "interleaved": True,
        "skipped": skipped,
        **measured,
    }


def measure_workloads(wanted: Sequence[Suite], scratch: Path, config: ToolkitConfig) -> dict[str, Any]:
    """Let workloads take turns, each with its calibrator.

    Args:
        wanted: The suites to time; those without workloads are left out.
        scratch: An existing folder for the outputs of the commands, which are removed again.
        config: The number of rounds, and whether a turn is a single run.

    Returns:
        `waiting` (share of the time in which other work held the processor), `calibrators` and `entries`. Each has
        `name` and `seconds` (min, median, p95 and max over its turns); an entry also has `over`, its
        calibrator, `speedup` (the calibrator's seconds over its own) with `speedup_range`, `noise` and `withheld`
        as `bench host` has them, and no size, so that `size_bytes` is None.
    """
    pairs = [(suite.calibrator, one) for suite in wanted for one in suite.workloads]
    waiting_time, turn_s = WaitingTime(), 0.0 if config.short else TURN_S
    turns: dict[str, list[tuple[float, float]]] = {one.name: [] for _, one in pairs}
    for number in progress(range(config.runs), name="rounds", unit="round"):
        for offset in range(len(pairs)):
            calibrator, one = pairs[(number + offset) % len(pairs)]
            turns[one.name].append(_take_turn((calibrator, one), scratch, waiting_time, turn_s))
    return {
        "waiting": waiting_time.waiting,
        "calibrators": [_calibrator(suite, turns) for suite in wanted if suite.workloads],
        "entries": [
            _entry(one.name, calibrator.name, turns[one.name], waiting_time.waiting) for calibrator, one in pairs
        ],
    }


def _take_turn(
    pair: tuple[Workload, Workload], scratch: Path, waiting_time: WaitingTime, turn_s: float
) -> tuple[float, float]:
    """Run both repeatedly, always the one that has had less time, and return the median seconds of each."""
    counted: tuple[list[float], list[float]] = ([], [])
    took = [0.0, 0.0]
    while not all(counted) or min(took) < turn_s:
        turn = took.index(min(took))
        one = pair[turn]
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            out = Path(folder) / "out"
            finished = children.run_python(one.command(out), children.child_environment(Path(folder) / "cache"))
            counted[turn].append(one.read_seconds(out, finished.printed) if one.read_seconds else finished.seconds)
        took[turn] += finished.seconds
        waiting_time.seconds += finished.seconds
        waiting_time.waited_s.append(finished.waited_s)
    return median(counted[0]), median(counted[1])


def _calibrator(suite: Suite, turns: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Any]:
    seconds = [calibrator_s for one in suite.workloads for calibrator_s, _ in turns[one.name]]
    return {"name": suite.calibrator.name, "seconds": summarize_values(seconds)}


def _entry(name: str, over: str, turns: Sequence[tuple[float, float]], waiting: float | None) -> dict[str, Any]:
    ratio = summarize_speedup([calibrator_s / seconds for calibrator_s, seconds in turns])
    return {
        "name": name,
        "over": over,
        "seconds": summarize_values([seconds for _, seconds in turns]),
        **ratio,
        "withheld": withheld_reason(ratio["noise"], waiting=waiting),
        "size_bytes": None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
