"""The flags and recorded configuration of `compress bench browser`."""

from dataclasses import dataclass
from pathlib import Path

from compress.config import require_at_least
from compress.errors import UsageError


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
    """Start no browser, but keep the page up until Ctrl-C, for a browser of this machine or, with --host, a phone."""
    host: str | None = None
    """Address to serve at, such as 0.0.0.0 for all of this machine's; with --serve. Localhost alone if not given."""

    def __post_init__(self) -> None:
        require_at_least(self, threads=1, runs=1, warmup=0, timeout_s=1)
        if self.host is not None and not self.serve:
            raise UsageError("--host says where --serve is reached. Pass both, or neither.")
