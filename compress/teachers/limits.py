"""Limits that a child process sets itself before it opens a stranger's file; the system enforces them from then on."""

import os
import resource
import signal
import time
from contextlib import suppress
from pathlib import Path

READING_S = 20
"""Seconds of the clock, and of the processor, that reading a file may take; frameworks are loaded before."""
BASE_BYTES = 1 << 30
"""Memory that reading any file may take beyond what the loaded libraries have."""
BYTES_PER_FILE_BYTE = 8
"""Memory for each byte of the file: packed and half-precision weights, unpacked and copied for the way back."""
_STATM, _SCHEDSTAT = Path("/proc/self/statm"), Path("/proc/self/schedstat")


def limit_reading(size_bytes: int) -> None:
    """Limit what this process may still take to read a file, in memory beyond what it has and in time from now on.

    Args:
        size_bytes: Size of the file to read.
    """
    limit_memory(BASE_BYTES + BYTES_PER_FILE_BYTE * size_bytes)
    limit_time(READING_S)


def limit_time(seconds: int, *, threads: int = 1) -> None:
    """Limit the time that this process may still take; it leaves no core file when it takes more.

    A parser that never comes back to Python is ended by the limit on the processor's time, one that waits by the clock,
    from which time is taken off in which this process was ready and others ran.

    Args:
        seconds: Seconds of the clock, and of the processor for each thread, from now on.
        threads: Threads that work at once.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + seconds * threads
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    started = time.monotonic() - _starved_s()

    def end_if_due(*_: object) -> None:
        left_s = seconds - (time.monotonic() - _starved_s() - started)
        if left_s <= 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGALRM)
        signal.setitimer(signal.ITIMER_REAL, max(left_s, 0.1))

    signal.signal(signal.SIGALRM, end_if_due)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _starved_s() -> float:
    """Return the seconds in which this process was ready to run and others ran; 0 where the system does not tell."""
    try:
        return int(_SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def limit_memory(more_bytes: int) -> None:
    """Limit this process's address space to what it has now and so many bytes; TensorFlow alone maps gigabytes."""
    # Systems without /proc do not enforce this limit either.
    with suppress(OSError, ValueError):
        pages = int(_STATM.read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
