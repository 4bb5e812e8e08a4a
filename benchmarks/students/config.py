"""The flags and recorded configuration of `compress bench students`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.errors import UsageError
from export.config import IoType, LambdaLayers


@dataclass(frozen=True, kw_only=True)
class StudentsConfig:
    """On which task students are compared, with what, and how thoroughly."""

    teacher: Path
    """The generator that they learnt from: .h5, .keras, .pth, SavedModel or artifact."""
    data: Path
    """A CycleGAN folder: its training photos set int8 ranges, its test photos are translated."""
    peer: tuple[Path, ...] = ()
    """The artifact of a trained net of a published student's shape, which stays in float; may be repeated."""
    image_size_px: int | None = None
    """Side of the square that all models take; the students' own when not given."""
    reference: Literal["real", "teacher"] = "real"
    """What kernel and Fréchet distance are to: the other domain's test photos, or the teacher's images."""
    io_type: IoType = "float"
    """What the students' int8 files take and return."""
    calibration_images: int = 64
    """Training photos that set the int8 ranges."""
    threads: int = 1
    """Threads that latency is measured on."""
    runs: int = 20
    """Interleaved rounds of the latency measurement."""
    lambda_layers: LambdaLayers | None = None
    """What the Lambda layers of the teacher's file do; they are never run."""

    def __post_init__(self) -> None:
        for name in ("image_size_px", "calibration_images", "threads", "runs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"{name} = {value}, expected at least 1.")
