"""Cost of a model's cold start: time to load, the first inference, peak memory.

Measured in child processes, each of which starts one model once: a process that has run a model before has its code in
memory and its caches warm. The child also stands between a torn file and the benchmark: LiteRT's reader can crash on
one.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from compress.errors import UnusableModel
from export.interpreter.open_file import fill_inputs, open_file

STARTS = 3
"""Processes that start a model, one after the other; the median counts."""
INVOKES = 3
"""Inferences in each, the first of them timed, all of them watched for memory."""
TIME_LIMIT_S = 600
_PROC_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Start:
    """A model's first moments in a process that has LiteRT loaded already."""

    load_ms: float
    """Time from the file, which the system may have in memory, to allocated tensors and a delegate that is ready."""
    first_inference_ms: float
    peak_memory_bytes: int
    """Bytes by which the model raises the process's peak."""


def measure_start(model: Path, *, threads: int) -> Start:
    """Start a model in `STARTS` processes, and take the median of each measure.

    Raises:
        UnusableModel: If LiteRT refuses the file, crashes on it, or takes longer than `TIME_LIMIT_S`.
    """
    starts = [start_once(model, threads=threads) for _ in range(STARTS)]
    return Start(
        load_ms=median(start.load_ms for start in starts),
        first_inference_ms=median(start.first_inference_ms for start in starts),
        peak_memory_bytes=int(median(start.peak_memory_bytes for start in starts)),
    )


def start_once(model: Path, *, threads: int) -> Start:
    """Start a model in one process.

    Raises:
        UnusableModel: See `measure_start`.
    """
    # -P: a folder named benchmarks where the user happens to stand is not ours.
    command = [sys.executable, "-P", "-m", "benchmarks.timing.start", str(model), str(threads)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnusableModel(f"{model} did not run {INVOKES} times within {TIME_LIMIT_S} s.") from error
    if child.returncode == UnusableModel.exit_code:
        raise UnusableModel(f"{model} cannot be run: {child.stdout.strip()}")
    if child.returncode != 0:
        raise UnusableModel(f"{model} cannot be run: LiteRT died of it (exit code {child.returncode}).")
    return Start(**json.loads(child.stdout))


def _start_here(model: Path, threads: int) -> Start:
    before = _own_peak_bytes()
    started = time.perf_counter()
    interpreter = open_file(model, threads=threads)
    loaded = time.perf_counter()
    fill_inputs(interpreter)
    filled = time.perf_counter()
    interpreter.invoke()
    ran = time.perf_counter()
    for _ in range(INVOKES - 1):
        interpreter.invoke()
    return Start((loaded - started) * 1e3, (ran - filled) * 1e3, _own_peak_bytes() - before)


def _own_peak_bytes() -> int:
    """Return the most memory that this process has held so far, bytes.

    `ru_maxrss` will not do on Linux: it starts with the size of the process that started this one.
    """
    if _PROC_STATUS.exists():
        line = next(line for line in _PROC_STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def _main() -> None:
    model, threads = sys.argv[1:]
    try:
        print(json.dumps(asdict(_start_here(Path(model), int(threads)))))
    except (ValueError, RuntimeError) as error:
        print(error)
        raise SystemExit(UnusableModel.exit_code) from error


if __name__ == "__main__":
    _main()
