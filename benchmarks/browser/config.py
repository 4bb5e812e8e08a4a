"""The flags and recorded configuration of `compress bench browser`."""

from dataclasses import dataclass
from pathlib import Path

from compress.config import require_at_least


@dataclass(frozen=True, kw_only=True)
class BrowserConfig:
    """The browser that models are timed in, and how thoroughly."""

    image: Path | None = None
    """Photo that the models are given; one of colour gradients when not given."""
    threads: int = 1
    """Threads of WebAssembly, where the browser grants them."""
    runs: int = 30
    """Rounds; in each, every model has its turn."""
    warmup: int = 3
    """Runs of each model before the first round, which are not timed."""
    browser: Path | None = None
    """Chromium or Chrome to start; the first on PATH when not given."""
    timeout_s: int = 600
    """Seconds after which the page counts as hanging."""
    serve: bool = False
    """Start no browser, but keep the page up for phones in the same network until Ctrl-C. Listens on every address of
    this machine; without it, on localhost alone."""

    def __post_init__(self) -> None:
        require_at_least(self, threads=1, runs=1, warmup=0, timeout_s=1)
