"""The machine: Python, memory, disk, accelerators, and what of the cache and the weights is there."""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from compress.artifact import file_fingerprint, user_cache
from compress.cache.usage import measure_usage
from compress.doctor.findings import Finding, format_size

LEAST_FREE_BYTES = 2e9
"""Free space under which a run may fill the disk. Measured: a run's folder of 40 photos of 96 pixels takes 48 MB, the
teacher's images of 1,000 photos of 256 pixels take 144 MB, and checkpoints come on top."""
_PYTHONS = ((3, 11), (3, 13))
_NVIDIA = Path("/proc/driver/nvidia/version")
_DEEP_TIMEOUT_S = 120
_DEVICES: Mapping[str, str] = {
    "tensorflow": "import tensorflow as t; print([d.name for d in t.config.list_physical_devices('GPU')])",
    "torch": "import torch as t; print([t.cuda.get_device_name(n) for n in range(t.cuda.device_count())] "
    "+ ['Metal'] * t.backends.mps.is_available())",
}
"""Programs that print which accelerators a framework sees."""


def check_python() -> Iterator[Finding]:
    """Check the interpreter, the processor and the memory."""
    (least, most), version = _PYTHONS, sys.version_info[:2]
    fits = least <= version <= most
    means = "" if fits else f"made for {least[0]}.{least[1]} to {most[0]}.{most[1]}: install one of them"
    yield Finding(
        topic="machine",
        name="Python",
        status="ok" if fits else "missing",
        found=f"{platform.python_version()}, {sys.executable}",
        means=means,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding(
        topic="machine",
        name="processor",
        status="note",
        found=f"{platform.machine()}, {cores} core(s), {format_size(_memory_bytes())} of memory",
    )


def check_disk() -> Iterator[Finding]:
    """Check the free space where commands write: here, in the cache and for temporary files."""
    places = {"here": Path.cwd(), "cache": _existing(user_cache()), "temporary": Path(tempfile.gettempdir())}
    for name, place in places.items():
        free = shutil.disk_usage(place).free
        is_enough = free >= LEAST_FREE_BYTES
        yield Finding(
            topic="disk",
            name=name,
            status="ok" if is_enough else "missing",
            found=f"{format_size(free)} free at {place}",
            means="" if is_enough else f"a run may need {format_size(LEAST_FREE_BYTES)}: free some space",
        )


def check_caches() -> Iterator[Finding]:
    """Tell what the user's cache holds."""
    sizes: Counter[str] = Counter()
    for usage in measure_usage(user_cache()):
        sizes[Path(usage.folder).parts[0]] += usage.size_bytes
    size = format_size(sizes.total())
    held = ", ".join(f"{kind} {format_size(taken)}" for kind, taken in sizes.items()) or "nothing"
    yield Finding(
        topic="caches",
        name="pocketgan",
        status="note",
        found=f"{size} at {user_cache()}: {held}",
        means="spares the next command that work; compress cache lists it, and --clear or --max-bytes makes it less",
    )


def check_weights(weights: Mapping[str, tuple[Path | None, str, str]]) -> Iterator[Finding]:
    """Check that pretrained weights are there and whole.

    Args:
        weights: By the network's name: their file (None where its package is missing), SHA-256, and what they are for.
    """
    for name, (path, sha256, purpose) in weights.items():
        if path is None or not path.is_file():
            found, status = f"not there{'' if path is None else f' ({path})'}", "missing"
        elif file_fingerprint(path) == sha256:
            found, status = f"{format_size(path.stat().st_size)}, of the right hash", "ok"
        else:
            found, status = f"{path} holds something else than it should; install or fetch it anew", "missing"
        yield Finding(topic="weights", name=name, status=status, found=found, means=purpose)


def check_accelerators(*, deep: bool) -> Iterator[Finding]:
    """Tell which accelerators there are.

    Args:
        deep: Whether to load each framework, in a process of its own, and ask it.
    """
    driver = _NVIDIA.read_text(errors="replace").splitlines()[0] if _NVIDIA.exists() else ""
    has_metal = sys.platform == "darwin" and platform.machine() == "arm64"
    found = driver or ("Apple's GPU" if has_metal else "none that a driver tells of")
    means = "training and scoring use the processor" if not driver else "whether a framework uses it: --deep asks"
    yield Finding(topic="accelerator", name="driver", status="note", found=found, means=means)
    if deep:
        yield from (_ask_framework(name, program) for name, program in _DEVICES.items() if _is_installed(name))


def _ask_framework(name: str, program: str) -> Finding:
    """Ask a framework for its devices; TensorFlow and PyTorch never meet in one process."""
    command = [sys.executable, "-P", "-c", program]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_DEEP_TIMEOUT_S, check=True
        )
        devices = json.loads(child.stdout.strip().splitlines()[-1].replace("'", '"'))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        reason = type(error).__name__
        return Finding(
            topic="accelerator",
            name=name,
            status="missing",
            found=f"cannot be loaded ({reason})",
            means="install it anew",
        )
    return Finding(
        topic="accelerator",
        name=name,
        status="ok" if devices else "note",
        found=", ".join(map(str, devices)) or "the processor alone",
        means="" if devices else "it works, more slowly",
    )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
