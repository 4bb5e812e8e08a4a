"""Flags by which a command shares its images among many processes."""

from dataclasses import dataclass

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class FleetConfig:
    """The processes that share a command's images; this one alone where neither is given."""

    workers: int | None = None
    """Processes of this machine that share the images, each with a core (extra fleet)."""
    cluster: str | None = None
    """HOST:PORT of a Ray cluster's head node, whose cores share the images. They read the paths given here, so these
    must be s3://, gs:// or a folder that all of its machines mount."""

    def __post_init__(self) -> None:
        require_at_least(self, workers=1)
        if self.workers is not None and self.cluster is not None:
            raise UsageError(
                f"workers = {self.workers} are processes of this machine, but cluster = {self.cluster} is another. "
                "Pass one of them."
            )

    @property
    def flag(self) -> str | None:
        """The flag that asks for workers, as the user writes it; None where none does."""
        if self.cluster is not None:
            return "--cluster"
        return None if self.workers is None else "--workers"


ALONE = FleetConfig()
"""This process does all by itself."""
