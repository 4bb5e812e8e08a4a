"""The gate and what feeds it: folders are checked, measured, compared; nothing is written before all is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from compress.artifact import is_artifact, open_artifact
from compress.errors import UnusableData, UnusableModel
from eval.config import AcceptConfig, GateConfig, NetworkName, ScoreConfig
from eval.gate.baseline import read_baseline
from eval.gate.checks import left_out, make_checks
from eval.gate.latency import read_latency_ratio
from eval.gate.limits import read_limits
from eval.gate.measurement import PSNR, Measurement, measure_folder
from eval.gate.outcome import Outcome, worst_cases
from eval.score_key import refuse_other_keys
from eval.scores import common_size, list_enough, load_scorer
from eval.similarity import pair_by_stem

if TYPE_CHECKING:
    from eval.scorer import FolderScorer


@dataclass(frozen=True, kw_only=True)
class Material:
    """The folders that a measurement reads, checked to belong together."""

    inputs: Path
    real: list[Path]
    image_size_px: tuple[int, int]
    """Height and width of the generated images."""


def accept_baseline(config: AcceptConfig) -> Measurement:
    """Measure a folder of images that later ones are compared with.

    Raises:
        UnusableData, UnusableModel, UnusableArtifact, UsageError: As `gate`.
    """
    size_bytes = _size_bytes(config.model)
    material = _check_folders(config, [config.candidate, *([config.teacher] if config.teacher else [])])
    judge = _load_scorer(config, material, config.network)
    return measure_folder(
        judge, config.candidate, inputs=material.inputs, teacher=config.teacher, size_bytes=size_bytes
    )


def run_gate(config: GateConfig) -> Outcome:
    """Compare a candidate's images with a baseline's.

    Without a teacher, the images of a baseline that is a folder take the teacher's place for what is asked of the
    candidate alone.

    Raises:
        UnusableData: If a folder is missing or too small, an image broken, without partner or of another size, the
            baseline file is none, or it was measured against something else.
        UnusableModel: If the feature network's weights cannot be used, or `model` is not there.
        UnusableArtifact: If `model` is a torn artifact.
        UsageError: If a limit is no limit or cannot be checked, or the packages that score are not installed.
    """
    limits = read_limits(config)
    filed = None if config.baseline.is_dir() else read_baseline(config.baseline)
    unchecked = left_out(config, filed)
    latency = read_latency_ratio(config.bench) if config.bench else None
    size_bytes = _size_bytes(config.model)
    reference = config.teacher or (config.baseline if filed is None else None)
    own = [
        config.candidate,
        *([config.baseline] if filed is None else []),
        *([config.teacher] if config.teacher else []),
    ]
    material = _check_folders(config, own)
    network = filed.key["network"] if filed is not None and config.network == "auto" else config.network
    judge = _load_scorer(config, material, network)
    candidate = measure_folder(
        judge, config.candidate, inputs=material.inputs, teacher=reference, size_bytes=size_bytes
    )
    baseline = filed or measure_folder(judge, config.baseline, inputs=material.inputs, teacher=config.teacher)
    refuse_other_measurement(config, baseline, candidate)
    return Outcome(
        config=config,
        candidate=candidate,
        checks=tuple(make_checks(limits, baseline, candidate, latency)),
        unchecked=tuple(unchecked),
        worst=worst_cases(candidate.paired[PSNR], material.inputs, reference, config.candidate) if reference else (),
    )


def refuse_other_measurement(config: GateConfig, baseline: Measurement, candidate: Measurement) -> None:
    """Refuse to compare what was not measured alike.

    Raises:
        UnusableData: Naming in what the two differ, or that they were compared with different teachers.
    """
    refuse_other_keys({str(config.baseline): baseline.key, str(config.candidate): candidate.key})
    if PSNR in baseline.paired and baseline.teacher_sha256 != candidate.teacher_sha256 and config.teacher is not None:
        raise UnusableData(
            f"{config.baseline} was compared with other images of a teacher than those in {config.teacher}, so the two "
            "PSNR do not compare. Pass the same --teacher, or accept the baseline anew."
        )


def _check_folders(config: AcceptConfig, generated: list[Path]) -> Material:
    other = "B" if config.domain == "A" else "A"
    inputs, real = config.data / f"test{config.domain}", list_enough(config.data / f"test{other}")
    sizes = {}
    for folder in generated:
        list_enough(folder)
        sizes[folder] = common_size([path for path, _ in pair_by_stem(folder, inputs).values()])
    (first, expected), *others = sizes.items()
    for folder, size in others:
        if size != expected:
            raise UnusableData(
                f"the images of {folder} are {size[1]}x{size[0]} px, but those of {first} {expected[1]}x{expected[0]}; "
                "translate both with one image size."
            )
    return Material(inputs=inputs, real=real, image_size_px=expected)


def _load_scorer(config: AcceptConfig, material: Material, network: Literal["auto", NetworkName]) -> "FolderScorer":
    scoring = ScoreConfig(
        real=material.real[0].parent,
        fake=config.candidate,
        network=network,
        inception_weights=config.inception_weights,
        cache=config.cache,
        seed=config.seed,
    )
    return load_scorer(scoring, material.real, material.image_size_px)


def _size_bytes(model: Path | None) -> int | None:
    """Of the model that an artifact holds, or of a file or directory."""
    if model is None:
        return None
    found = open_artifact(model).model_path if is_artifact(model) else model
    if not found.exists():
        raise UnusableModel(f"{model} does not exist; expected an artifact or a model file.")
    members = found.rglob("*") if found.is_dir() else [found]
    return sum(member.stat().st_size for member in members if member.is_file())
