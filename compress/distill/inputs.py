"""Inputs of a stage that fine-tunes a student which was distilled before.

Nothing here loads Keras before `StageInputs.identity` and `StageInputs.training_data` are called.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from compress import teachers
from compress.artifact import Artifact, file_fingerprint, open_artifact
from compress.config import to_mapping
from compress.data.config import Domain
from compress.data.folders import list_photos
from compress.distill.config import FitConfig, check_sizes
from compress.distill.fine_tuning import TuneConfig, fine_tuning_config
from compress.distill.perceptual import require_perceptual_network
from compress.distill.training_data.real_images import list_real_images
from compress.errors import UnusableArtifact
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.files.apart import require_apart
from compress.files.training_folder import refuse_existing_output
from compress.teachers.interpretation.record import inherit_reading, record_reading
from compress.teachers.interpretation.sizes import require_keeps_size
from compress.teachers.reading.config import ReadingConfig

if TYPE_CHECKING:
    from compress.distill.training_data.build import TrainingData
    from compress.teachers.description import GeneratorDescription

_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")
_Config = TypeVar("_Config", bound=TuneConfig)


@dataclasses.dataclass(frozen=True)
class StageInputs(Generic[_Config]):
    """Inputs of a stage that fine-tunes, found to fit together."""

    student: Artifact
    config: _Config
    """The stage's configuration, its domain filled in."""
    fit_config: FitConfig
    """Its training with the losses and the discriminator that the student was distilled with."""
    description: GeneratorDescription
    """The teacher."""
    reading: ReadingConfig
    """How the teacher was read."""
    image_size_px: int
    photos: list[Path]
    real: list[Path]
    """Images of the target domain for the discriminator; none without one."""

    def recorded_config(self) -> dict[str, Any]:
        """Return the `config` of the manifest: the stage's own, the inherited losses, how the teacher was read.

        Where the student's faces were aligned by a template, that is inherited, too.
        """
        own = to_mapping(self.fit_config) | to_mapping(self.config)
        return own | record_reading(self.description, self.reading) | record_template(self.alignment())

    def alignment(self) -> AlignmentTemplate | None:
        """Return the template that the faces of the student's photos were aligned to; None where they were not."""
        return read_template(self.student.manifest.config, origin=self.student.path)

    def identity(self) -> str:
        """Return the hash that tells this run from others, see `checkpoint.run_identity`."""
        from compress.training import checkpoint

        student = self.student.fingerprint, file_fingerprint(self.student.model_path)
        files = [checkpoint.identify_files(paths) for paths in (self.photos, self.real)]
        return checkpoint.run_identity(to_mapping(self.config), student, self.description.fingerprint, files)

    def training_data(self, work: Path) -> TrainingData:
        """Build the student's training data, see `build_training_data`.

        Args:
            work: The run's folder.
        """
        from compress.distill.training_data.build import build_training_data

        return build_training_data(
            self.photos,
            self.real,
            self.description,
            self.fit_config,
            work,
            self.image_size_px,
            self.alignment(),
        )


def resolve_inputs(
    student: Path,
    teacher: Path,
    data: Path,
    config: _Config,
    out: Path,
    *,
    overwrite: bool,
    reading: ReadingConfig,
    folded: bool = False,
) -> StageInputs[_Config]:
    """Check everything that can be wrong with a command line before Keras is loaded.

    Args:
        student: The student's artifact.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: The stage's configuration.
        out: The artifact that it will write.
        overwrite: Whether `out` may exist.
        reading: What the user says about the teacher's file; else what was said when the student was made.
        folded: Whether the stage folds the student's BatchNorm before it trains, see `fine_tuning_config`.

    Raises:
        UsageError: If `out` exists or holds an input, or the teacher takes another size.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If photos are missing.
    """
    require_apart([out], [student, teacher])
    refuse_existing_output(out, overwrite=overwrite)
    source = _open_student(student)
    domain = config.domain or _domain_of(source)
    config = dataclasses.replace(config, domain=domain)
    distilled, origin = source.manifest.config, f"{student} config"
    fit_config = fine_tuning_config(config, distilled, folded=folded, origin=origin)
    require_perceptual_network(fit_config)
    photos, real = list_photos(data, domain, "train"), list_real_images(data, domain, fit_config)
    reading = inherit_reading(distilled, reading, origin=origin)
    description = teachers.describe(teacher, reading=reading)
    size = _size_of(source)
    require_keeps_size(
        description,
        teacher.name,
        (size, size),
        asked=f"{source.path} takes {size}x{size}",
        advice="Pass the teacher that the student learnt from.",
    )
    check_sizes(fit_config, size)
    return StageInputs(
        student=source,
        config=config,
        fit_config=fit_config,
        description=description,
        reading=reading,
        image_size_px=size,
        photos=photos,
        real=real,
    )


def _open_student(path: Path) -> Artifact:
    """Read a student's artifact.

    Raises:
        UnusableArtifact: If it is torn or holds no Keras model.
    """
    source = open_artifact(path)
    if source.manifest.format != "keras":
        raise UnusableArtifact(
            f"{path} holds {source.model_path.name}; expected a student as compress distill writes it. "
            "Pass the artifact that this was exported from, then export anew."
        )
    return source


def _domain_of(source: Artifact) -> Domain:
    """Return the domain that a student was trained to translate; A where nothing says otherwise."""
    domain = source.manifest.config.get("domain")
    return domain if domain in _DOMAINS else "A"


def _size_of(source: Artifact) -> int:
    """Return the side of a student's images, pixels.

    Raises:
        UnusableArtifact: If the student takes images that are not square, or of any size.
    """
    size, width, _ = source.manifest.input.shape
    if size is None or size != width:
        raise UnusableArtifact(
            f"{source.path} takes {size}x{width} images; expected a student of square images of a fixed size."
        )
    return size
