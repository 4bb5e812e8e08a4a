"""The flags and recorded configuration of `compress bench toolkit`."""

from dataclasses import dataclass

from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ToolkitConfig:
    """How thoroughly the toolkit's commands are timed."""

    runs: int = 3
    """Rounds; in each, every command has its turn. Six and more tell noise without taking their whole range for it."""
    warmup: int = 1
    """Rounds before the first, which are not timed: they read the files that later ones find in memory."""

    def __post_init__(self) -> None:
        for name, least in (("runs", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} = {getattr(self, name)}, expected at least {least}.")
