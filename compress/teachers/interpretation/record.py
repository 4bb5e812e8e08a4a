"""Record of how a teacher was read, in the manifest of what is made of it, by which later stages read it too."""

from collections.abc import Mapping
from typing import Any

from compress.artifact import TEACHER_READING
from compress.config import from_mapping
from compress.errors import UnusableArtifact, UsageError
from compress.teachers.description import GeneratorDescription
from compress.teachers.reading.config import ReadingConfig, merge_readings

_SAID, _CONVENTIONS = "said", "conventions"


def record_reading(description: GeneratorDescription, reading: ReadingConfig) -> dict[str, Any]:
    """Return the entry of a manifest's configuration: what the user said, what the file told and what was assumed."""
    conventions = [{"topic": one.topic, "value": one.value, "basis": one.basis} for one in description.conventions]
    return {TEACHER_READING: {_SAID: reading.said(), _CONVENTIONS: conventions}}


def inherit_reading(student: Mapping[str, Any], given: ReadingConfig, *, origin: str) -> ReadingConfig:
    """Return how a student's teacher is read: as the user says now, else as it was said when the student was made.

    Args:
        student: The `config` of the student's manifest.
        given: What the user says now.
        origin: Where `student` comes from, for the error.

    Raises:
        UnusableArtifact: If the record is damaged.
    """
    recorded = student.get(TEACHER_READING, {})
    said = recorded.get(_SAID, {}) if isinstance(recorded, Mapping) else None
    if not isinstance(said, Mapping):
        raise UnusableArtifact(f"{origin} has {TEACHER_READING} = {recorded!r:.60}. Make the artifact anew.")
    try:
        return merge_readings(from_mapping(ReadingConfig, said, origin=f"{origin} {TEACHER_READING}"), given)
    except UsageError as error:
        raise UnusableArtifact(f"{error} Make the artifact anew.") from error
