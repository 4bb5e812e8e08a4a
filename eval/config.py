"""The flags, recipe keys and recorded configuration of scoring and reporting."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NetworkName = Literal["inception", "efficientnet-lite0"]


@dataclass(frozen=True, kw_only=True)
class ScoreConfig:
    """What is scored against what, and in which network's features."""

    real: Path
    """Folder of real images of the domain that the fakes belong to: the reference."""
    fake: Path
    """Folder of generated images, all of one size; the reference is cut and resized to it where it differs."""
    teacher: Path | None = None
    """Folder of the teacher's images of the same names: adds PSNR and SSIM of each fake to its teacher's image."""
    control: Path | None = None
    """Folder of the untouched inputs, scored beside the fakes: what doing nothing would have got."""
    network: Literal["auto", NetworkName] = "auto"
    """Feature network. auto: Inception where its weights can be had, else EfficientNet-Lite0, by its own name."""
    inception_weights: Path | None = None
    """File of the FID Inception network's weights in torch-fidelity's format; found or downloaded when not given."""
    seed: int = 0
    """Draws the subsets over which KID is averaged."""


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What a report shows. NAME=PATH flags may be repeated; equal names mean one row of the table."""

    inputs: Path
    """Folder of the photos that were translated."""
    teacher: Path
    """Folder of the teacher's images of the same names."""
    column: tuple[str, ...]
    """NAME=FOLDER of a student's images of the same names; the last one decides which cases are worst and typical."""
    scores: tuple[str, ...] = ()
    """NAME=FILE that `compress eval score --out` wrote for a column or for the teacher."""
    bench: Path | None = None
    """File that `compress bench host --json` printed; its first entry is the baseline."""
    manifest: tuple[str, ...] = ()
    """NAME=FOLDER of the artifact behind a column or the teacher: its size, parameters, MACs and precision."""
    title: str = "Baseline against student"
    """Heading of the page."""
