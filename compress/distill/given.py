"""A student that was distilled before and is given to a stage that goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compress.artifact import Artifact, open_artifact
from compress.data.config import Domain
from compress.errors import UnusableArtifact, UsageError

if TYPE_CHECKING:
    from compress.teachers.description import GeneratorDescription

_DOMAINS: tuple[Domain, ...] = ("A", "B", "both")


def open_student(path: Path) -> Artifact:
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


def domain_of(source: Artifact) -> Domain:
    """Whose photos a student was trained to translate; A where nothing says otherwise."""
    domain = source.manifest.config.get("domain")
    return domain if domain in _DOMAINS else "A"


def size_of(source: Artifact, description: GeneratorDescription, teacher: Path) -> int:
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
