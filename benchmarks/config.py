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
        _check_least(self, threads=1, runs=1, warmup=0)


@dataclass(frozen=True, kw_only=True)
class OraclesConfig:
    """On which photos quantisers are compared, and how thoroughly their files are timed."""

    data: Path
    """A CycleGAN folder: its training photos set the activation ranges, its test photos are compared."""
    calibration_images: int = 64
    """How many photos set the activation ranges, the same for all."""
    images: int = 64
    """How many other photos the files are compared on."""
    image_size_px: int | None = None
    """Side of the square that the files take; the student's own size when not given."""
    threads: int = 1
    """Threads that each file is timed on."""
    runs: int = 30
    """Rounds; in each, every file has its turn."""
    warmup: int = 3
    """Runs of each file before the first round, which are not timed."""
    seed: int = 0
    """Picks the photos."""

    def __post_init__(self) -> None:
        _check_least(self, calibration_images=1, images=1, threads=1, runs=1, warmup=0)


def _check_least(config: object, **least: int) -> None:
    for name, allowed in least.items():
        if getattr(config, name) < allowed:
            raise UsageError(f"{name} = {getattr(config, name)}, expected at least {allowed}.")
