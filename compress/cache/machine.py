"""The processor of this machine: what a latency belongs to, and by which outcomes that depend on it are kept apart."""

import os
import platform
import re
import subprocess
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def read_processor() -> tuple[str, set[str]]:
    """Return the processor's name and the instruction sets that it offers, as far as the system tells them."""
    if not _CPUINFO.exists():
        return _ask_sysctl("machdep.cpu.brand_string") or platform.processor(), set()
    text = _CPUINFO.read_text()
    name = re.search(r"^(?:model name|Hardware)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return (name[1] if name else platform.machine()), set(flags[1].split() if flags else ())


def count_cores() -> int | None:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _ask_sysctl(key: str) -> str:
    # Other systems than macOS have no such command, or another one of that name.
    try:
        answer = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip()
