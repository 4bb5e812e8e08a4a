"""The flags and recorded configuration of benchmarks."""

from dataclasses import dataclass
from pathlib import Path

from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """Which models are timed on this machine, and how thoroughly."""

    baseline: Path
    """What the others are compared with: a .tflite file or an artifact of one."""
    candidate: tuple[Path, ...]
    """What is compared with it; may be repeated."""
    threads: int = 1
    """Threads that each model runs on."""
    runs: int = 30
    """Rounds; in each, every model has its turn."""
    warmup: int = 3
    """Runs of each model before the first round, which are not timed."""

    def __post_init__(self) -> None:
        for name, least in (("threads", 1), ("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} = {getattr(self, name)}, expected at least {least}.")
