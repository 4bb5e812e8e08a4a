"""The machine that a latency is measured on."""

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from compress.cache.machine import count_cores, read_processor

_GOVERNORS = Path("/sys/devices/system/cpu")
"""Folder with the frequency governor of each core."""
_MATTERS = (
    # What XNNPACK's kernels are chosen by: x86 first, then Arm.
    "avx", "fma", "avx2", "avx_vnni", "avx512f", "avx512_bf16", "avx512_vnni", "amx_int8",
    "asimd", "fphp", "asimdhp", "asimddp", "i8mm", "sve", "sme",
)  # fmt: skip


def read_machine() -> dict[str, Any]:
    """Read the facts of this machine, and how busy it is right now.

    Returns:
        `cpu`, `cores` (that this process may use), `isa`, `os`, `python`, `litert`, `load_average` (over the last
        minute; a load beyond the benchmark's own threads is other work, which makes latencies unsteady) and `governor`
        (of the cores' frequency; several are joined, None where the system shows none, as virtual machines do).
    """
    name, flags = read_processor()
    return {
        "cpu": name,
        "cores": count_cores(),
        "isa": [flag for flag in _MATTERS if flag in flags],
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "litert": metadata.version("ai-edge-litert"),
        "load_average": round(os.getloadavg()[0], 2),
        "governor": _governor(_GOVERNORS),
    }


def _governor(folder: Path) -> str | None:
    found = set()
    for file in folder.glob("cpu[0-9]*/cpufreq/scaling_governor"):
        # A core that is taken offline meanwhile has none.
        with suppress(OSError):
            found.add(file.read_text().strip())
    return ", ".join(sorted(found)) or None
