"""Inputs of a comparison of students, checked to fit together before minutes are spent on it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.published.config import PeerMethod, PublishedConfig
from benchmarks.students.config import StudentsConfig
from compress.artifact import Artifact, file_fingerprint, open_artifact
from compress.data.config import Domain, opposite
from compress.data.folders import list_photos, paired_folder
from compress.errors import UnusableArtifact, UnusableModel, UsageError
from export.config import Precision

TEACHER = "teacher"
Kind = Literal["teacher", "student", "peer"]
_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")
_PRECISION_NAMES: dict[Precision, str] = {"fp32": "float", "dynamic": "dynamic range"}
"""Names of the precisions in the table, where they differ from our flag."""


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
        """Name of its folders and files."""
        return f"{self.generator}_{self.precision}"

    @property
    def name(self) -> str:
        """Name of its row."""
        return f"{self.generator} {_PRECISION_NAMES.get(self.precision, self.precision)}"


@dataclass(frozen=True, kw_only=True)
class ComparisonInputs:
    """One task, and the models that are compared on it."""

    students: tuple[Path, ...]
    teacher: Path
    models: tuple[Model, ...]
    """The baseline, which is the teacher in fp32, then the teacher in dynamic range, students and peers."""
    methods: tuple[PeerMethod, ...]
    """Methods of the peers that have to be trained first."""
    domain: Domain
    """Domain whose test photos are translated."""
    target: Literal["A", "B"] | None
    """Domain whose test photos are the reference; None where the teacher's images are."""
    image_size_px: int
    truth: bool
    """True if the data set has the true translation of each of these photos."""

    @property
    def baseline(self) -> Model:
        """The teacher in fp32, with which the others are compared."""
        return self.models[0]


def resolve_comparison(students: Sequence[Path], config: PublishedConfig, task: StudentsConfig) -> ComparisonInputs:
    """Check that the inputs of a comparison fit together, without loading a model.

    Args:
        students: Artifacts with a model.keras, at least one.
        config: The baseline.
        task: The task and the peers.

    Raises:
        UsageError: If no teacher is named, two models have the same name, or domains, sizes and reference do not go
            together.
        UnusableArtifact: If a student or peer is missing, torn or an export.
        UnusableModel: If there is no such teacher.
        UnusableData: If a folder of test photos is missing or empty.
    """
    if config.teacher is None:
        raise UsageError("--teacher is missing; expected the generator that the students learnt from.")
    if not config.teacher.exists():
        raise UnusableModel(f"{config.teacher} does not exist; expected the generator that the students learnt from.")
    methods: list[PeerMethod] = [peer for peer in task.peer if not isinstance(peer, Path)]
    peers = [peer for peer in task.peer if isinstance(peer, Path)]
    artifacts = [_open_keras(path) for path in (*students, *peers)]
    _require_unique_names([*students, *peers, *map(Path, methods)])
    domain = _common_domain(artifacts)
    target = _target(domain) if task.reference == "real" else None
    folders = dict.fromkeys(photo.parent for photo in list_photos(task.data, domain, "test"))
    if target is not None:
        list_photos(task.data, target, "test")
    return ComparisonInputs(
        students=tuple(students),
        teacher=config.teacher,
        models=(
            *_in_precisions("teacher", TEACHER, config.teacher, ("fp32", "dynamic")),
            *(model for path in students for model in _in_precisions("student", _name(path), path, ("int8", "fp32"))),
            *(peer_model(_name(path), path) for path in peers),
        ),
        methods=tuple(methods),
        domain=domain,
        target=target,
        image_size_px=_common_size(artifacts, config.image_size_px),
        truth=all(paired_folder(folder).is_dir() for folder in folders),
    )


def peer_model(name: str, path: Path) -> Model:
    """Return the model of a trained peer: in float, since int8 of a net with InstanceNorm is refused, or loses it."""
    (model,) = _in_precisions("peer", name, path, ("fp32",))
    return model


def _in_precisions(kind: Kind, generator: str, source: Path, precisions: Sequence[Precision]) -> list[Model]:
    fingerprint = file_fingerprint(source)
    return [
        Model(kind=kind, generator=generator, source=source, fingerprint=fingerprint, precision=precision)
        for precision in precisions
    ]


def _open_keras(path: Path) -> Artifact:
    artifact = open_artifact(path)
    if artifact.manifest.format != "keras":
        raise UnusableArtifact(
            f"{path} is an export already ({artifact.model_path.name}); expected the artifact that it was made from."
        )
    return artifact


def _name(path: Path) -> str:
    # Also where it is given as `.`; links keep their name.
    return Path(os.path.abspath(path)).name


def _require_unique_names(paths: Sequence[Path]) -> None:
    taken: dict[str, object] = {TEACHER: "the baseline"}
    for path in paths:
        if (name := _name(path)) in taken:
            raise UsageError(f"{path} and {taken[name]} are both called {name}. Rename one of the folders.")
        taken[name] = path


def _common_domain(artifacts: Sequence[Artifact]) -> Domain:
    """Return the domain that all were trained to translate; A where none of them tells, as for `compress export`."""
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
