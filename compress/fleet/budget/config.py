"""Budgets that a sweep's students are held to: the `[budget]` table."""

import math
from dataclasses import dataclass

from compress.config import require_at_least
from compress.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """What a student may cost; a trial that would cost more is never trained. None is no limit."""

    max_bytes: int | None = None
    """Bytes that the phone's file may take."""
    max_macs: int | None = None
    """Multiply-accumulates that the student may take for an image."""
    max_latency_ratio: float | None = None
    """Its latency over the reference's, measured on this machine before it is trained, both untrained and in turns."""
    latency_reference: str | None = None
    """What latency is compared with, a .tflite file or an artifact of one; the student of the sweep's own recipe."""

    def __post_init__(self) -> None:
        require_at_least(self, max_bytes=1, max_macs=1)
        ratio = self.max_latency_ratio
        if ratio is not None and not 0 < ratio < math.inf:
            raise UsageError(f"max_latency_ratio = {ratio}, expected more than 0: 0.5 is half of the reference's time.")
        if self.latency_reference is not None and ratio is None:
            raise UsageError(
                f"latency_reference = {self.latency_reference!r} without max_latency_ratio, by which students would be "
                "held to it. Add one, or leave the reference out."
            )
