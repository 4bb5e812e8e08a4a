"""The peak memory that one model adds to a process: loaded, allocated and run, in a child process of its own.

The child also stands between a torn file and the benchmark: LiteRT's reader can crash on one.
"""

import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.runtime import open_interpreter
from compress.errors import UnusableModel

INVOKES = 3
TIME_LIMIT_S = 600
_PROC_STATUS = Path("/proc/self/status")


def peak_memory_bytes(model: Path, *, threads: int) -> int:
    """Measure how far a model raises the peak of a process that has LiteRT loaded already.

    Raises:
        UnusableModel: If LiteRT refuses the file, crashes on it, or takes longer than `TIME_LIMIT_S`.
    """
    # -P: a folder named benchmarks where the user happens to stand is not ours.
    command = [sys.executable, "-P", "-m", "benchmarks.memory", str(model), str(threads)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnusableModel(f"{model} did not run {INVOKES} times within {TIME_LIMIT_S} s.") from error
    if child.returncode == UnusableModel.exit_code:
        raise UnusableModel(f"{model} cannot be run: {child.stdout.strip()}")
    if child.returncode != 0:
        raise UnusableModel(f"{model} cannot be run: LiteRT died of it (exit code {child.returncode}).")
    return int(child.stdout)


def _measure_here(model: Path, threads: int) -> int:
    before = _own_peak_bytes()
    interpreter = open_interpreter(model, threads=threads)
    for _ in range(INVOKES):
        interpreter.invoke()
    return _own_peak_bytes() - before


def _own_peak_bytes() -> int:
    """The most memory that this process has held so far.

    `ru_maxrss` will not do on Linux: it starts with the size of the process that started this one.
    """
    if _PROC_STATUS.exists():
        line = next(line for line in _PROC_STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes


def _main() -> None:
    model, threads = sys.argv[1:]
    try:
        print(_measure_here(Path(model), int(threads)))
    except (ValueError, RuntimeError) as error:
        print(error)
        raise SystemExit(UnusableModel.exit_code) from error


if __name__ == "__main__":
    _main()
