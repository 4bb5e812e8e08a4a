"""The flags of `compress bench published` that its comparisons of students and of shapes share."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from compress.config import require_at_least
from compress.teachers.reading.config import ReadingConfig

PeerMethod = Literal["narrow", "gan_compression", "omgd", "omgd_losses"]
"""A method that a peer is trained by, see `benchmarks.published.methods`."""


@dataclass(frozen=True, kw_only=True)
class PublishedConfig(ReadingConfig):
    """The baseline of a comparison, how its file is read, and how thoroughly everything is timed."""

    teacher: Path | None = None
    """The baseline: the generator that students learnt from, of shapes a net with random weights when not given."""
    image_size_px: int | None = None
    """Side of the square that all models take; when not given the students' own, of shapes 256."""
    threads: int = 1
    """Threads that latency is measured on."""
    runs: int | None = None
    """Interleaved rounds of the latency measurement; when not given 20 of students, 12 of shapes."""

    def __post_init__(self) -> None:
        require_at_least(self, image_size_px=1, threads=1, runs=1)

    @property
    def reading(self) -> ReadingConfig:
        """What the user says about the teacher's file."""
        return ReadingConfig(**{item.name: getattr(self, item.name) for item in fields(ReadingConfig)})
