"""The flags and recorded configuration of benchmarks."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from compress.errors import UsageError
from export.config import LambdaLayers

_MULTIPLE_PX = 8
_MULTIPLE_WIDTH = 4
_LEAST_RUNS = 3

PeerMethod = Literal["narrow", "gan_compression", "omgd", "omgd_losses"]
"""How a peer is trained; see `benchmarks.published.methods`."""


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """Which models are timed on this machine, and how thoroughly."""

    baseline: Path
    """What the others are compared with: a .tflite file or an artifact of one."""
    candidate: tuple[Path, ...]
    """What is compared with it; may be repeated."""
    threads: tuple[int, ...] = (1,)
    """Threads that each model runs on; may be repeated, for several counts in the same rounds."""
    runs: int = 30
    """Rounds; in each, every model has its turn."""
    warmup: int = 3
    """Runs of each model before the first round, which are not timed."""

    def __post_init__(self) -> None:
        _check_least(self, runs=1, warmup=0)
        if not self.threads or min(self.threads) < 1 or len(set(self.threads)) < len(self.threads):
            told = ", ".join(map(str, self.threads)) or "none"
            raise UsageError(f"threads = {told}, expected at least 1, and each count once.")


@dataclass(frozen=True, kw_only=True)
class OraclesConfig:
    """On which photos quantisers are compared, and how thoroughly their files are timed."""

    data: Path
    """A CycleGAN folder: its training photos set the activation ranges, its test photos are compared."""
    calibration_images: int = 64
    """How many photos set the activation ranges, the same for all."""
    images: int = 64
    """How many other photos the files are compared on."""
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
    """Picks the photos, and their order in training."""

    def __post_init__(self) -> None:
        _check_least(self, calibration_images=1, images=1, threads=1, runs=1, warmup=0)
        if (self.steps is None) != (self.teacher is None):
            raise UsageError(
                f"steps = {self.steps} and teacher = {self.teacher}: trainings need both. Pass --steps N --teacher "
                "FILE, or neither."
            )
        if self.steps is not None:
            _check_least(self, steps=1)


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """What the main table holds beside what is always in it, and how thoroughly all of it is timed."""

    teacher: Path | None = None
    """The baseline's generator: .h5, .keras, .pth, SavedModel or artifact; CycleGAN's own net with random weights when
    not given."""
    lambda_layers: LambdaLayers | None = None
    """What the Lambda layers of the teacher's file do; they are never run."""
    student: tuple[Path, ...] = ()
    """A student of yours, a .tflite file or an artifact of one, beside those with random weights; may be repeated."""
    image_size_px: int = 256
    """Side of the square that the models of the table take."""
    sweep_size_px: tuple[int, ...] = (64, 128, 256, 512, 1024)
    """Side of a square at which latency and memory are drawn; may be repeated."""
    sweep_width: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels at a quarter of the resolution for which they are drawn, the teacher has 256; may be repeated."""
    threads: int = 1
    """Threads that each model runs on."""
    runs: int = 12
    """Rounds; in each, every model has its turn. Images beyond image_size_px get fewer, at least 3."""
    warmup: int = 1
    """Runs of each model before the first round, which are not timed."""

    def __post_init__(self) -> None:
        _check_least(self, threads=1, runs=1, warmup=0)
        for side in (self.image_size_px, *self.sweep_size_px):
            if side < _MULTIPLE_PX or side % _MULTIPLE_PX:
                raise UsageError(f"{side} pixels: expected a multiple of {_MULTIPLE_PX}, as the unet student takes it.")
        for width in self.sweep_width:
            if width < _MULTIPLE_WIDTH or width % _MULTIPLE_WIDTH:
                raise UsageError(f"width {width}: expected a multiple of {_MULTIPLE_WIDTH}, as the teacher has it.")

    def runs_at(self, side_px: int) -> int:
        """Rounds for images of that side: a benchmark at 1024 pixels takes no longer than it must."""
        affordable = round(self.runs * (self.image_size_px / side_px) ** 2)
        return min(self.runs, max(_LEAST_RUNS, affordable))


def command_line(command: Sequence[str], config: Any) -> str:
    """What a user types for a configuration: a command, and a flag for each field that is not left as it is."""
    words = list(command)
    for field in fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            for each in value if isinstance(value, tuple) else (value,):
                words += [f"--{field.name.replace('_', '-')}", str(each)]
    return shlex.join(words)


def _check_least(config: object, **least: int) -> None:
    for name, allowed in least.items():
        if getattr(config, name) < allowed:
            raise UsageError(f"{name} = {getattr(config, name)}, expected at least {allowed}.")
