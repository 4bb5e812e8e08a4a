"""The gate stage: folders are checked, measured in one pass and compared; nothing is written before all is known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compress.artifact import is_artifact, open_artifact
from compress.errors import UnusableData, UnusableModel
from eval.config import AcceptConfig, GateConfig
from eval.gate.baseline import read_baseline
from eval.gate.checks import find_unchecked, make_checks, needs_photos, pass_quality, require_checked
from eval.gate.collector import MeasuredFolder, Target, measure_folders
from eval.gate.folders import check_folders
from eval.gate.latency import read_latency_ratio
from eval.gate.limits import parse_limits
from eval.gate.measurement import PSNR, Measurement, equals_reference
from eval.gate.outcome import Outcome
from eval.score_key import require_one_key
from eval.scores import load_scorer


def accept_baseline(config: AcceptConfig) -> Measurement:
    """Measure a folder of images that later ones are compared with.

    Raises:
        UnusableData, UnusableModel, UnusableArtifact, UsageError: As `run_gate`.
    """
    target = Target(
        folder=config.candidate, reference=config.teacher, photos=True, size_bytes=_size_bytes(config.model)
    )
    (measured,) = _measure(config, [target])
    return measured.measurement


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
    limits = parse_limits(config)
    from_file = None if config.baseline.is_dir() else read_baseline(config.baseline)
    unchecked = find_unchecked(config, from_file)
    latency = read_latency_ratio(config.bench) if config.bench else None
    targets = _choose_targets(config, from_file)
    candidate, *others = _measure(_with_network_of(from_file, config), targets)
    baseline = from_file or others[0].measurement
    require_same_measurement(config, baseline, candidate.measurement)
    teacher_colours = None if config.teacher is None else candidate.reference_colours
    checks = make_checks(limits, baseline, candidate.measurement, latency, teacher_colours)
    require_checked(config, checks)
    equals_teacher = teacher_colours is not None and equals_reference(candidate.measurement)
    return Outcome(
        config=config,
        candidate=candidate.measurement,
        checks=tuple(pass_quality(checks) if equals_teacher else checks),
        unchecked=tuple(unchecked),
        worst=tuple(candidate.worst),
        equals_teacher=equals_teacher,
    )


def require_same_measurement(config: GateConfig, baseline: Measurement, candidate: Measurement) -> None:
    """Check that baseline and candidate were measured alike.

    Raises:
        UnusableData: Naming in what the two differ, or that they were compared with different teachers.
    """
    require_one_key({str(config.baseline): baseline.key, str(config.candidate): candidate.key})
    if PSNR in baseline.paired and baseline.teacher_sha256 != candidate.teacher_sha256 and config.teacher is not None:
        raise UnusableData(
            f"{config.baseline} was compared with other images of a teacher than those in {config.teacher}, so the two "
            "PSNR do not compare. Pass the same --teacher, or accept the baseline anew."
        )


def _choose_targets(config: GateConfig, from_file: Measurement | None) -> list[Target]:
    """Return the candidate and, where it is a folder, the baseline."""
    size_bytes, photos = _size_bytes(config.model), needs_photos(config, from_file)
    if from_file is not None:
        return [Target(folder=config.candidate, reference=config.teacher, photos=photos, size_bytes=size_bytes)]
    reference = config.teacher or config.baseline
    return [
        Target(folder=config.candidate, reference=reference, photos=photos, size_bytes=size_bytes),
        Target(folder=config.baseline, reference=config.teacher, photos=photos),
    ]


def _with_network_of(from_file: Measurement | None, config: GateConfig) -> GateConfig:
    """Let a baseline file choose the network where the user did not."""
    if from_file is None or config.network != "auto":
        return config
    return replace(config, network=from_file.key["network"])


def _measure(config: AcceptConfig, targets: Sequence[Target]) -> list[MeasuredFolder]:
    references = [target.reference for target in targets if target.reference is not None]
    folders = check_folders(config, [*(target.folder for target in targets), *references])
    return measure_folders(load_scorer(config, folders.real, folders.image_size_px), folders, targets)


def _size_bytes(model: Path | None) -> int | None:
    """Return the size of a file or directory, or of the model that an artifact holds."""
    if model is None:
        return None
    found = open_artifact(model).model_path if is_artifact(model) else model
    if not found.exists():
        raise UnusableModel(f"{model} does not exist; expected an artifact or a model file.")
    members = found.rglob("*") if found.is_dir() else [found]
    return sum(member.stat().st_size for member in members if member.is_file())
