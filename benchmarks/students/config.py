"""The flags of `compress bench published` that belong to the comparison of students."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.published.config import PeerMethod
from compress.config import require_at_least
from export.config import IoType


@dataclass(frozen=True, kw_only=True)
class StudentsConfig:
    """The task that students are compared on, and the peers beside them."""

    data: Path
    """A CycleGAN folder: its training photos train peers and set int8 ranges, its test photos are translated."""
    peer: tuple[PeerMethod | Path, ...] = ()
    """A published student: a method, trained for as long as the first student, or an artifact; may be repeated."""
    reference: Literal["real", "teacher"] = "real"
    """The images that kernel and Fréchet distance are to: the other domain's test photos, or the teacher's images."""
    io_type: IoType = "float"
    """Input and output type of the students' int8 files."""
    calibration_images: int = 64
    """Training photos that set the int8 ranges."""

    def __post_init__(self) -> None:
        require_at_least(self, calibration_images=1)
