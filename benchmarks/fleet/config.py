"""The flags of `python -m benchmarks.fleet`."""

from dataclasses import dataclass

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class LoadConfig:
    """How many images are scored, by how many workers, and how often."""

    images: tuple[int, ...] = (1000, 4000)
    """Numbers of generated images, with as many real ones; two or more, since statistics grow with their square."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of workers, each with one core, beside the single process without any."""
    rounds: int = 1
    """How often each is timed, in turns."""

    def __post_init__(self) -> None:
        if len(set(self.images)) < 2 or min(self.images) < 100:
            raise UsageError(
                f"images = {self.images}, expected two different numbers, each 100 or more, such as 1000 4000."
            )
        if not self.workers or min(self.workers) < 1:
            raise UsageError(f"workers = {self.workers}, expected numbers of 1 or more, such as 1 2.")
        require_at_least(self, rounds=1)
