"""How a teacher was read, in manifests, and by later stages."""

import pytest

from compress import teachers
from compress.artifact import TEACHER_READING
from compress.errors import UnusableArtifact
from compress.teachers.interpretation.record import inherit_reading, record_reading
from compress.teachers.reading.config import AS_FOUND, ReadingConfig


def test_a_later_stage_reads_as_the_one_before(teacher_file) -> None:
    said = ReadingConfig(value_range="0..1", verify=("a=b",))
    record = record_reading(teachers.describe(teacher_file), said)
    assert record[TEACHER_READING]["said"] == {"value_range": "0..1"}
    assert {"topic": "value range out", "value": "-1..1", "basis": "assumed"} in record[TEACHER_READING]["conventions"]
    assert inherit_reading(record, AS_FOUND, origin="student") == ReadingConfig(value_range="0..1")
    assert inherit_reading(record, ReadingConfig(value_range="-1..1"), origin="student").value_range == "-1..1"
    assert inherit_reading({}, AS_FOUND, origin="student") == AS_FOUND


@pytest.mark.parametrize("damaged", [[], {"said": []}, {"said": {"value_range": 3}}, {"said": {"odd": "x"}}])
def test_a_damaged_record_is_named(damaged) -> None:
    with pytest.raises(UnusableArtifact, match="teacher_reading"):
        inherit_reading({TEACHER_READING: damaged}, AS_FOUND, origin="student")


def test_another_reading_has_another_fingerprint(teacher_file) -> None:
    plain, other = (
        teachers.describe(teacher_file, reading=said) for said in (AS_FOUND, ReadingConfig(channel_order="bgr"))
    )
    assert plain.fingerprint != other.fingerprint
    assert plain.fingerprint == teachers.describe(teacher_file).fingerprint
