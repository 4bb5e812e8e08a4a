"""The flags and recorded configuration of `python -m benchmarks.runtimes`."""

from dataclasses import dataclass
from pathlib import Path

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RuntimesConfig:
    """The runtimes, and the files that they are compared on."""

    runtime: tuple[str, ...] = ()
    """Runtime to compare, by a part of its name, such as litert or openvino; may be repeated. All when not given."""
    image_size_px: tuple[int, ...] = (64,)
    """Side of the students' square; may be repeated. Rounded up to what each family halves."""
    students_only: bool = False
    """Leave out the teacher and the files of single operators."""
    environments: Path | None = None
    """Folder of the runtimes' environments, which are made there once; in the user's cache when not given."""
    browser: Path | None = None
    """Chromium or Chrome for LiteRT.js; the first on PATH when not given."""
    timeout_s: int = 300
    """Seconds after which a runtime's process counts as hanging."""

    def __post_init__(self) -> None:
        require_at_least(self, timeout_s=1)
        if not self.image_size_px or min(self.image_size_px) < 1:
            raise UsageError(f"image_size_px = {self.image_size_px}, expected at least one size of 1 or more.")
