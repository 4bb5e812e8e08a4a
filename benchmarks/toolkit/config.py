"""The flags and recorded configuration of `python -m benchmarks.toolkit`."""

from dataclasses import dataclass

from compress.config import require_at_least


@dataclass(frozen=True, kw_only=True)
class ToolkitConfig:
    """The number of rounds in which the toolkit's commands are timed."""

    runs: int = 3
    """Rounds; in each, every command has its turn. Six and more tell noise without taking their whole range for it."""

    def __post_init__(self) -> None:
        require_at_least(self, runs=1)
