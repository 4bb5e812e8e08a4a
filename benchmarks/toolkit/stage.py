"""Time the toolkit's own commands against fixed work, in interleaved rounds.

All take turns in an order that rotates, each in processes of its own and mingled with what it is held against: a round
takes minutes, in which a shared machine is not equally fast. A ratio is the median of those of such neighbours, so
`bench accept` and `bench check` hold them like the speed-ups of models.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tqdm import tqdm

from benchmarks.timing.machine import describe_machine
from benchmarks.timing.noise import speedup_of, summed_up, why_withheld
from benchmarks.toolkit import children
from benchmarks.toolkit.config import ToolkitConfig
from benchmarks.toolkit.workloads import Suite, Workload, suites

TURN_S = 4.0
"""What a turn gives to a command, and again to what it is held against; each runs at least once. On two idle cores of
a shared machine, starting a process takes 14 % more or less from one time to the next: ratios of single runs vary by
13 %, those of medians of 20 by 5 %."""
_PACKAGES = ("ai-edge-litert", "coremltools", "cyclopts", "keras", "numpy", "tensorflow", "torch", "torch-fidelity")
"""Whose versions must be the same for two measurements to compare: their imports are most of what is timed."""


@dataclass
class Watch:
    """How long all processes ran, and how much of that their main threads waited for a processor."""

    seconds: float = 0.0
    waited_s: list[float | None] = field(default_factory=list)

    @property
    def waiting(self) -> float | None:
        """As a share; None where the system does not tell."""
        known = [waited for waited in self.waited_s if waited is not None]
        return sum(known) / self.seconds if known and len(known) == len(self.waited_s) else None


def bench_toolkit(config: ToolkitConfig) -> dict[str, Any]:
    """Measure the toolkit on untrained generators and pictures of noise that it makes itself.

    Returns:
        JSON-ready: what `measure` returns, and `machine`, `kind` (what must be the same for two measurements to
        compare), `runs`, `interleaved` and `skipped` (what needs modules that are not installed, and which).

    Raises:
        RuntimeError: If a command fails.
    """
    # Before the benchmark's own work is in the load average.
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="pocketgan-bench-") as name:
        folder = Path(name)
        material = folder / "material"
        material.mkdir()
        children.run(["-P", "-m", "benchmarks.toolkit.material", material], children.environment(folder / "cache"))
        wanted = suites(material)
        skipped = {one.name: missing for suite in wanted for one in suite.workloads if (missing := one.missing())}
        present = [
            Suite(calibrator=suite.calibrator, workloads=tuple(one for one in suite.workloads if not one.missing()))
            for suite in wanted
        ]
        # Not timed: it brings the libraries' files into memory, where all rounds find them.
        for one in (one for suite in present for one in suite.workloads if one.warms):
            children.run(one.command(folder / "out"), children.environment(folder / "cache"))
        measured = measure(present, folder, config)
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


def measure(wanted: Sequence[Suite], scratch: Path, config: ToolkitConfig) -> dict[str, Any]:
    """Let workloads take turns, each with what it is held against.

    Args:
        wanted: What is timed; suites without workloads are left out.
        scratch: An existing folder, for what the commands write; emptied of it.
        config: How many rounds.

    Returns:
        `waiting` (share of the time in which other work held the processor), `calibrators` and `entries`. Each has
        `name` and `seconds` (min, median, p95 and max over its turns); an entry also has `over`, the calibrator that it
        is held against, `speedup` (the calibrator's seconds over its own) with `speedup_range`, `noise` and `withheld`
        as `bench host` has them, and no size, so that `size_bytes` is None.
    """
    pairs = [(suite.calibrator, one) for suite in wanted for one in suite.workloads]
    watch = Watch()
    turns: dict[str, list[tuple[float, float]]] = {one.name: [] for _, one in pairs}
    for number in tqdm(range(config.runs), desc="rounds", disable=None):
        for offset in range(len(pairs)):
            calibrator, one = pairs[(number + offset) % len(pairs)]
            turns[one.name].append(_take_turn((calibrator, one), scratch, watch))
    return {
        "waiting": watch.waiting,
        "calibrators": [_calibrator(suite, turns) for suite in wanted if suite.workloads],
        "entries": [_entry(one.name, calibrator.name, turns[one.name], watch.waiting) for calibrator, one in pairs],
    }


def _take_turn(pair: tuple[Workload, Workload], scratch: Path, watch: Watch) -> tuple[float, float]:
    """Run both again and again, next the one that has had less time; the median seconds of each."""
    counted: tuple[list[float], list[float]] = ([], [])
    took = [0.0, 0.0]
    while not all(counted) or min(took) < TURN_S:
        turn = took.index(min(took))
        one = pair[turn]
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            out = Path(folder) / "out"
            finished = children.run(one.command(out), children.environment(Path(folder) / "cache"))
            counted[turn].append(one.read_seconds(out, finished.printed) if one.read_seconds else finished.seconds)
        took[turn] += finished.seconds
        watch.seconds += finished.seconds
        watch.waited_s.append(finished.waited_s)
    return median(counted[0]), median(counted[1])


def _calibrator(suite: Suite, turns: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Any]:
    seconds = [calibrator_s for one in suite.workloads for calibrator_s, _ in turns[one.name]]
    return {"name": suite.calibrator.name, "seconds": summed_up(seconds)}


def _entry(name: str, over: str, turns: Sequence[tuple[float, float]], waiting: float | None) -> dict[str, Any]:
    ratio = speedup_of([calibrator_s / seconds for calibrator_s, seconds in turns])
    return {
        "name": name,
        "over": over,
        "seconds": summed_up([seconds for _, seconds in turns]),
        **ratio,
        "withheld": why_withheld(ratio["noise"], waiting=waiting),
        "size_bytes": None,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
