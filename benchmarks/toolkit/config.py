"""The flags and recorded configuration of `python -m benchmarks.toolkit`."""

from dataclasses import dataclass

from compress.config import require_at_least


@dataclass(frozen=True, kw_only=True)
class ToolkitConfig:
    """Which of the toolkit's commands are timed, and how often."""

    runs: int = 3
    """Rounds; in each, every command has its turn. Six and more tell noise without taking their whole range for it."""
    short: bool = False
    """Only inspect and export, each once a round: what CI prints, in seconds. Too few to accept or to check."""

    def __post_init__(self) -> None:
        require_at_least(self, runs=1)
