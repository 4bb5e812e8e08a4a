"""Commands run in processes of their own, with the time they took and the time they waited for a processor."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from benchmarks.timing.noise import read_waited_s

TIME_LIMIT_S = 1800
_STDERR_CHARACTERS = 2000
"""Characters at the end of a failed command's stderr that the error shows."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that ended well."""

    seconds: float
    """Duration from start to end."""
    waited_s: float | None
    """Seconds that its main thread was ready to run but waited for a processor; None where the system does not tell."""
    printed: str


def run_python(arguments: Sequence[object], environment: Mapping[str, str]) -> Finished:
    """Run this Python with arguments.

    Raises:
        RuntimeError: If it fails or takes longer than `TIME_LIMIT_S`; with the end of its stderr.
    """
    line = [sys.executable, *map(str, arguments)]
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        started = time.perf_counter()
        child = subprocess.Popen(line, stdout=stdout, stderr=stderr, env=dict(environment))
        guard = Timer(TIME_LIMIT_S, child.kill)
        guard.start()
        try:
            waited_s = _await_end(child.pid)
            child.wait()
            seconds = time.perf_counter() - started
        finally:
            guard.cancel()
            child.kill()
        if child.returncode != 0:
            stderr.seek(0)
            complaint = stderr.read()[-_STDERR_CHARACTERS:]
            raise RuntimeError(f"{' '.join(line)} ended with {child.returncode} after {seconds:.0f} s:\n{complaint}")
        stdout.seek(0)
        return Finished(seconds=seconds, waited_s=waited_s, printed=stdout.read())


def child_environment(cache: Path) -> dict[str, str]:
    """Return the commands' environment: an empty cache of the toolkit, and Python's cache of modules in use."""
    seen = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return seen | {"POCKETGAN_CACHE": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _await_end(pid: int) -> float | None:
    """Wait for a child's end without removing it from the process table, so that its waiting time can still be read."""
    if not hasattr(os, "waitid"):
        return None
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        return read_waited_s(Path("/proc") / str(pid))
    except (OSError, IndexError, ValueError):
        return None
