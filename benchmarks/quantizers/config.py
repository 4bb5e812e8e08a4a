"""The flags and recorded configuration of `python -m benchmarks.quantizers`."""

from dataclasses import dataclass
from pathlib import Path

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class QuantizersConfig:
    """The photos that quantisers are compared on, and how thoroughly their files are timed."""

    data: Path
    """A CycleGAN folder: its training photos set the activation ranges, its test photos are compared."""
    calibration_images: int = 64
    """Number of photos that set the activation ranges, the same for all quantisers."""
    images: int = 64
    """Number of other photos that the files are compared on."""
    steps: int | None = None
    """Also train for int8, by so many steps each: `compress quantize`'s way, its control, and TFMOT's twice."""
    teacher: Path | None = None
    """The generator file that the student learnt from; with --steps."""
    image_size_px: int | None = None
    """Side of the square that the files take; the student's own size when not given."""
    threads: int = 1
    """Threads that each file is timed on."""
    runs: int = 30
    """Rounds; in each, every file has its turn."""
    warmup: int = 3
    """Runs of each file before the first round, which are not timed."""
    seed: int = 0
    """Random seed for the choice of photos, and for their order in training."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1, images=1, threads=1, runs=1, warmup=0)
        if (self.steps is None) != (self.teacher is None):
            raise UsageError(
                f"steps = {self.steps} and teacher = {self.teacher}: trainings need both. Pass --steps N --teacher "
                "FILE, or neither."
            )
        require_at_least(self, steps=1)
