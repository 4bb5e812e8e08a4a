"""Flags, recipe keys and recorded configuration of scoring, the gate and reports."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from compress.config import require_at_least
from compress.errors import UsageError

NetworkName = Literal["inception", "efficientnet-lite0", "squeezenet"]
ExtractorName = Literal["litert", "torch-fidelity"]
Domain = Literal["A", "B"]


@dataclass(frozen=True, kw_only=True)
class ScorerConfig:
    """The feature network, the cache and the seed of whatever scores images."""

    network: Literal["auto", NetworkName] = "auto"
    """Feature network. auto: Inception where its weights can be had, else EfficientNet-Lite0, by its own name.
    squeezenet: a judge of another kind than the EfficientNets that students are trained with."""
    extractor: ExtractorName = "litert"
    """What runs the network: LiteRT, or torch-fidelity's own code in PyTorch (extra torch), to compare with."""
    inception_weights: Path | None = None
    """File of the FID Inception network's weights in torch-fidelity's format; found or downloaded when not given."""
    cache: Path | None = None
    """Folder in which features are kept, so that images scored before need no network run; several runs share it."""
    seed: int = 0
    """Random seed of the subsets over which KID is averaged, and of the bootstrap resamples."""


@dataclass(frozen=True, kw_only=True)
class ScoreFolders:
    """The folders of one scoring."""

    real: Path | None = None
    """Folder of real images of the domain that the fakes belong to: the reference. Needed, but for --flicker."""
    fake: Path
    """Folder of generated images, all of one size; the reference is cut and resized to it where it differs."""
    teacher: Path | None = None
    """Folder of the teacher's images of the same names: adds the similarity of each fake to its teacher's image."""
    truth: Path | None = None
    """Folder of the true images of the same names, where such exist; fitted like the reference, compared likewise."""
    control: Path | None = None
    """Folder of the untouched inputs, scored beside the fakes: what doing nothing would have got."""
    flicker: Path | None = None
    """Folder that `compress eval perturb` wrote; --fake and --teacher hold what was made of it. Instead of distances:
    how much these images change with their photos."""
    frames: bool = False
    """--flicker holds a video's frames, which follow each other by name, instead of perturbed photos."""


# Here and below, fields come in the order of the bases from right to left.
@dataclass(frozen=True, kw_only=True)
class ScoreConfig(ScorerConfig, ScoreFolders):
    """One scoring: its folders, and the network whose features are compared."""

    def __post_init__(self) -> None:
        if self.flicker is None and self.frames:
            raise UsageError("--frames says what --flicker holds. Pass --flicker, a folder of frames.")
        if self.flicker is None:
            self.require_real()
        beside = [name for name in ("real", "truth", "control") if getattr(self, name) is not None]
        if self.flicker is not None and beside:
            raise UsageError(
                f"--{beside[0]} does not go with --flicker, whose images are perturbed copies or frames. Score the "
                "plain translations by a command of their own."
            )

    def require_real(self) -> Path:
        """Return the folder of real images.

        Raises:
            UsageError: If none is given.
        """
        if self.real is None:
            raise UsageError("a score needs --real, a folder of real images to compare with, or --flicker.")
        return self.real


@dataclass(frozen=True, kw_only=True)
class PerturbConfig:
    """Perturbed copies of photos, by which flicker is measured."""

    image_size_px: int
    """Side of the square that photos are cropped and resized to: that of the models that will translate them."""
    images: int = 64
    """Most photos to perturb, drawn from the folder; each becomes five images."""
    seed: int = 0
    """Random seed of the draw and of the noise."""

    def __post_init__(self) -> None:
        require_at_least(self, image_size_px=16, images=2)


@dataclass(frozen=True, kw_only=True)
class CandidateConfig:
    """A folder of generated images, what they were generated from, and by which model."""

    candidate: Path
    """Folder of generated images, one for each test photo and of its name."""
    data: Path
    """CycleGAN data set: testA and testB are used, one as inputs, the other one as real images."""
    domain: Domain = "A"
    """The domain that was translated."""
    teacher: Path | None = None
    """Folder of the teacher's images of the same names: adds PSNR and SSIM."""
    model: Path | None = None
    """The artifact or model file behind the candidate: adds its size."""


@dataclass(frozen=True, kw_only=True)
class AcceptConfig(ScorerConfig, CandidateConfig):
    """A folder of generated images to measure, so that later ones can be compared with it."""


@dataclass(frozen=True, kw_only=True)
class GateConfig(AcceptConfig):
    """One gate: its folders, and limits on how much worse the candidate may be than the baseline."""

    network: Literal["auto", NetworkName] = "auto"
    """Feature network. auto: the baseline file's; else Inception where it can be had, or EfficientNet-Lite0."""
    baseline: Path
    """Folder of the baseline's images, or the file that `compress eval accept` wrote of them."""
    max_fid_increase: str = "5%"
    """Most that the Fréchet distance may rise: 5% of the baseline's, or an absolute 1.5."""
    max_kid_increase: str | None = None
    """Most that the kernel distance may rise: 5% of the baseline's, or an absolute 0.002."""
    min_psnr: float | None = None
    """Least mean PSNR to the teacher's images, dB; to the baseline's where no teacher is given."""
    max_psnr_drop: float | None = None
    """Most that the mean PSNR to the teacher may fall, dB; 0.3 where it is known of both."""
    max_worst_drop: float | None = None
    """Most that the PSNR of a picture's worst patch may fall, dB, on average over the worst 3 % of the pictures: to
    the teacher's, or to the photo where no teacher is given. 2.5 when not given, more where all pictures changed."""
    max_photo_ssim_drop: float | None = None
    """Most that the mean SSIM to the photos may fall; 0.05 where no teacher is given."""
    max_colour_shift: float | None = None
    """Most that a colour channel's mean may move away from the teacher's image, on average, levels of 255; 2 when not
    given. Without a teacher, from the baseline's image to either side."""
    max_bytes: int | None = None
    """Largest size of --model, bytes."""
    max_latency_ratio: float | None = None
    """Largest latency as a multiple of the baseline's, such as 1.1; needs --bench."""
    bench: Path | None = None
    """File that `compress bench host --json` printed: its first entry is the baseline, its last one the candidate."""
    inconclusive: Literal["pass", "fail"] = "pass"
    """Fate of a candidate whose difference is too uncertain for a verdict."""


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """The sources of a report. NAME=PATH flags may be repeated; a model has one row, however its names are spelt."""

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
    gate: tuple[str, ...] = ()
    """NAME=FILE, the gate.json that `compress eval gate --out` wrote: differences, intervals and limits as a plot."""
    training: tuple[str, ...] = ()
    """NAME=PATH of a distilled student's artifact, or the folder that `compress teach` wrote: the training's curve."""
    title: str | None = None
    """Heading of the page; the names of the last student and of its folder when not given."""


@dataclass(frozen=True, kw_only=True)
class CardConfig:
    """The sources of a model card; what is not given is told to be unknown."""

    model: Path
    """The artifact of the model that ships."""
    student: tuple[Path, ...] = ()
    """The artifact of a training that it went through, the first one first; may be repeated."""
    teacher: Path | None = None
    """The generator's file that the student learnt from."""
    data: Path | None = None
    """The data set, a folder with trainA and its sisters or a folder of photos: they are counted."""
    scores: Path | None = None
    """File that `compress eval score --out` wrote of its images, with --control."""
    bench: Path | None = None
    """File that `compress bench host --json` printed, with the model among its entries."""
    license: str = ""
    """Licence of the model; the one of its export when not given."""
