"""A student that was distilled before and is given to a stage that goes on with it.

Nothing here loads Keras before `Given.identity` and `Given.training_data` are asked for.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from compress import teachers
from compress.artifact import Artifact, file_fingerprint, open_artifact, refuse_existing, refuse_replacing
from compress.config import to_mapping
from compress.data.config import Domain
from compress.data.folders import photos as list_photos
from compress.distill.config import TuneConfig, check_discriminator_size
from compress.distill.training_data.real_images import list_real
from compress.errors import UnusableArtifact, UsageError
from compress.teachers import LambdaLayers

if TYPE_CHECKING:
    from compress.distill.training_data.build import TrainingData
    from compress.teachers.description import GeneratorDescription

_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")
_Config = TypeVar("_Config", bound=TuneConfig)


@dataclasses.dataclass(frozen=True)
class StageInputs(Generic[_Config]):
    """What the command line of such a stage names, found to fit together."""

    student: Artifact
    config: _Config
    """With the domain that holds."""
    description: GeneratorDescription
    """The teacher."""
    fingerprint: str
    """Of the teacher's file."""
    image_size_px: int
    photos: list[Path]
    real: list[Path]
    """Images of the target domain, where a discriminator is to know them."""

    def identity(self) -> str:
        """See `checkpoint.run_identity`."""
        from compress.training import checkpoint

        paths = [str(path) for path in [*self.photos, *self.real]]
        return checkpoint.run_identity(to_mapping(self.config), self.student.fingerprint, self.fingerprint, paths)

    def training_data(self, work: Path) -> TrainingData:
        """See `training_data.gather`."""
        from compress.distill.training_data.build import build_training_data

        return build_training_data(
            self.photos, self.real, self.description, self.fingerprint, self.config, work, self.image_size_px
        )


def resolve_inputs(
    student: Path,
    teacher: Path,
    data: Path,
    config: _Config,
    out: Path,
    *,
    overwrite: bool,
    lambda_layers: LambdaLayers | None,
) -> StageInputs[_Config]:
    """Find everything out that can be wrong with a command line before Keras is loaded.

    Args:
        student: The student's artifact.
        teacher: The generator file that it learnt from.
        data: A folder with `trainA` and `trainB`.
        config: Of the stage.
        out: The artifact that it will write.
        overwrite: Whether `out` may exist.
        lambda_layers: What the teacher's Lambda layers do, see `teachers.load`.

    Raises:
        UsageError: If `out` exists or holds an input, or the teacher takes another size.
        UnusableArtifact: If the student is torn or holds no Keras model.
        UnusableModel: If the teacher cannot be read.
        UnusableData: If photos are missing.
    """
    refuse_existing(out, overwrite=overwrite)
    refuse_replacing(out, [student, teacher])
    source = _open_student(student)
    domain = config.domain or _domain_of(source)
    config = dataclasses.replace(config, domain=domain)
    photos, real = list_photos(data, domain, "train"), list_real(data, domain, config)
    description = teachers.describe(teacher, lambda_layers=lambda_layers)
    size = _size_of(source, description, teacher)
    check_discriminator_size(config, domain, size)
    return StageInputs(source, config, description, file_fingerprint(teacher), size, photos, list(real))


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
    """Whose photos a student was trained to translate; A where nothing says otherwise."""
    domain = source.manifest.config.get("domain")
    return domain if domain in _DOMAINS else "A"


def _size_of(source: Artifact, description: GeneratorDescription, teacher: Path) -> int:
    """The side of a student's images, pixels, which its teacher has to share.

    Raises:
        UnusableArtifact: If the student takes images that are not square, or of any size.
        UsageError: If the teacher takes another size.
    """
    size, width, _ = source.manifest.input.shape
    if size is None or size != width:
        raise UnusableArtifact(
            f"{source.path} takes {size}x{width} images; expected a student of square images of a fixed size."
        )
    taught_height, taught_width, _ = description.input_shape
    if (taught_height or size, taught_width or size) != (size, size):
        raise UsageError(
            f"{teacher.name} takes {taught_height}x{taught_width} images, but {source.path} {size}x{size}. "
            "Pass the teacher that the student learnt from."
        )
    return size
