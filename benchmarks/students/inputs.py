"""What the command line names, found to fit together before minutes are spent on it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.students.config import StudentsConfig
from compress.artifact import Artifact, file_fingerprint, open_artifact
from compress.data.config import Domain, opposite
from compress.data.folders import paired_folder, photos
from compress.errors import UnusableArtifact, UnusableModel, UsageError
from export.config import Precision

TEACHER = "teacher"
Kind = Literal["teacher", "student", "peer"]
_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")
_PRECISION_NAMES: dict[Precision, str] = {"fp32": "float", "dynamic": "dynamic range"}
"""Where the table has another word than our flag."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A generator in one precision: one file, one folder of images, one row of the table."""

    kind: Kind
    generator: str
    source: Path
    fingerprint: str
    precision: Precision

    @property
    def key(self) -> str:
        """What its folders and files are called."""
        return f"{self.generator}_{self.precision}"

    @property
    def name(self) -> str:
        """What its row is called."""
        return f"{self.generator} {_PRECISION_NAMES.get(self.precision, self.precision)}"


@dataclass(frozen=True, kw_only=True)
class ComparisonInputs:
    """One task and who takes part."""

    models: tuple[Model, ...]
    """The teacher in fp32, which the others are compared with, then in dynamic range, then students, then peers."""
    domain: Domain
    """Whose test photos are translated."""
    target: Literal["A", "B"] | None
    """Whose test photos are the reference; None where the teacher's images are."""
    image_size_px: int
    truth: bool
    """Whether the data set has the true translation of each of these photos."""

    @property
    def baseline(self) -> Model:
        return self.models[0]


def resolve_inputs(students: Sequence[Path], config: StudentsConfig) -> ComparisonInputs:
    """Check a command line, without loading a model.

    Args:
        students: Artifacts with a model.keras.
        config: All else.

    Raises:
        UsageError: If no student is named, two are called the same, or domains, sizes and reference do not go together.
        UnusableArtifact: If a student or peer is missing, torn or an export.
        UnusableModel: If there is no such teacher.
        UnusableData: If a folder of test photos is missing or empty.
    """
    if not students:
        raise UsageError("no student was given. Name at least one artifact that `compress distill` wrote.")
    if not config.teacher.exists():
        raise UnusableModel(f"{config.teacher} does not exist; expected the generator that the students learnt from.")
    artifacts = [_open(path) for path in (*students, *config.peer)]
    _require_own_names([*students, *config.peer])
    domain = _common_domain(artifacts)
    target = _target(domain) if config.reference == "real" else None
    folders = dict.fromkeys(photo.parent for photo in photos(config.data, domain, "test"))
    if target is not None:
        photos(config.data, target, "test")
    return ComparisonInputs(
        models=tuple(_models(students, config)),
        domain=domain,
        target=target,
        image_size_px=_common_size(artifacts, config.image_size_px),
        truth=all(paired_folder(folder).is_dir() for folder in folders),
    )


def _models(students: Sequence[Path], config: StudentsConfig) -> list[Model]:
    teacher: tuple[Precision, ...] = ("fp32", "dynamic")
    student: tuple[Precision, ...] = ("int8", "fp32")
    models = _in_precisions("teacher", TEACHER, config.teacher, teacher)
    for path in students:
        models += _in_precisions("student", _name(path), path, student)
    for path in config.peer:
        models += _in_precisions("peer", _name(path), path, ("fp32",))
    return models


def _in_precisions(kind: Kind, generator: str, source: Path, precisions: Sequence[Precision]) -> list[Model]:
    fingerprint = file_fingerprint(source)
    return [
        Model(kind=kind, generator=generator, source=source, fingerprint=fingerprint, precision=precision)
        for precision in precisions
    ]


def _open(path: Path) -> Artifact:
    artifact = open_artifact(path)
    if artifact.manifest.format != "keras":
        raise UnusableArtifact(
            f"{path} is an export already ({artifact.model_path.name}); expected the artifact that it was made from."
        )
    return artifact


def _name(path: Path) -> str:
    # Also where it is given as `.`; links keep their name.
    return Path(os.path.abspath(path)).name


def _require_own_names(paths: Sequence[Path]) -> None:
    taken: dict[str, object] = {TEACHER: "the baseline"}
    for path in paths:
        if (name := _name(path)) in taken:
            raise UsageError(f"{path} and {taken[name]} are both called {name}. Rename one of the folders.")
        taken[name] = path


def _common_domain(artifacts: Sequence[Artifact]) -> Domain:
    """The domain that all were trained to translate; A where none of them tells, as for `compress export`."""
    known: dict[Path, Domain] = {
        artifact.path: domain
        for artifact in artifacts
        for domain in _DOMAINS
        if artifact.manifest.config.get("domain") == domain
    }
    if not known:
        return "A"
    (first, domain), *others = known.items()
    for path, other in others:
        if other != domain:
            raise UsageError(
                f"{first} translates domain {domain}, but {path} domain {other}. Compare students of one task."
            )
    return domain


def _target(domain: Domain) -> Literal["A", "B"]:
    target = opposite(domain)
    if target is None:
        raise UsageError(
            "reference = real, but the students translate both domains, and no photos are only what they should make. "
            "Pass --reference teacher."
        )
    return target


def _common_size(artifacts: Sequence[Artifact], image_size_px: int | None) -> int:
    wanted, origin = image_size_px, "--image-size-px"
    for artifact in artifacts:
        height, width, _ = artifact.manifest.input.shape
        if height is None or width is None:
            continue
        if wanted is None:
            wanted, origin = height, str(artifact.path)
        if (height, width) != (wanted, wanted):
            raise UsageError(
                f"{artifact.path} takes {height}x{width} images, expected {wanted}x{wanted} as of {origin}. "
                "Compare students of one square size."
            )
    if wanted is None:
        raise UsageError("the students take images of any size. Choose one with --image-size-px, such as 256.")
    return wanted
