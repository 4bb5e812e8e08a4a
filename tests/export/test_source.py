"""A source's pictures: the same one by one and several at once, and what BLAS is set to stays as it was."""

import numpy as np
from threadpoolctl import threadpool_info

from compress.artifact import open_artifact
from compress.faces.template import AlignmentTemplate, read_template, record_template
from compress.teachers.packed import pack_student
from export.config import TfliteConfig
from export.source import load_source
from export.tflite.stage import export_tflite


def test_several_photos_at_once_make_the_pictures_that_each_makes_alone(small_student, as_artifact, photos) -> None:
    source = load_source(as_artifact(small_student))
    before = [pool["num_threads"] for pool in threadpool_info()]
    several = source.translate_each(photos)
    assert [pool["num_threads"] for pool in threadpool_info()] == before
    np.testing.assert_array_equal(np.stack(several), np.stack([source.translate(photo) for photo in photos]))
    assert np.ptp(np.stack(several), axis=0).max() > 0.01


def test_exports_of_a_student_and_of_its_packed_file_carry_its_alignment(small_student, as_artifact, tmp_path) -> None:
    template = AlignmentTemplate(eyes_y=0.4)
    student = as_artifact(small_student, **record_template(template))
    pack_student(open_artifact(student), tmp_path / "packed.keras")
    for source in (student, tmp_path / "packed.keras"):
        exported = export_tflite(source, TfliteConfig(), tmp_path / f"of {source.name}")
        assert read_template(exported.manifest.config, origin=source) == template
    plain = export_tflite(as_artifact(small_student, "plain"), TfliteConfig(), tmp_path / "of plain")
    assert "alignment" not in plain.manifest.config
