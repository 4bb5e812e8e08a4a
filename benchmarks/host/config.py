"""The flags and recorded configuration of `compress bench host`."""

from dataclasses import dataclass
from pathlib import Path

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    """The models to time on this machine, and how thoroughly."""

    baseline: Path
    """A .tflite file or an artifact of one, with which the others are compared."""
    candidate: tuple[Path, ...]
    """Another such model to time; may be repeated."""
    threads: tuple[int, ...] = (1,)
    """Threads that each model runs on; may be repeated, for several counts in the same rounds."""
    runs: int = 30
    """Rounds; in each, every model has its turn."""
    warmup: int = 3
    """Runs of each model before the first round, which are not timed."""
    compiled_model: bool = False
    """Time each file through LiteRT's CompiledModel too, in the same rounds, check that it returns the same bits, and
    ask litert-benchmark for a second opinion."""

    def __post_init__(self) -> None:
        require_at_least(self, runs=1, warmup=0)
        if not self.threads or min(self.threads) < 1 or len(set(self.threads)) < len(self.threads):
            listed = ", ".join(map(str, self.threads)) or "none"
            raise UsageError(f"threads = {listed}, expected at least 1, and each count once.")
