"""`compress export detail`: a file beside a student, checked against the lens before it has its name."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.errors import ParityError, UnusableModel, UsageError
from compress.files.atomic import atomic_dir
from export.config import IoType
from export.detail import network
from export.detail.config import LARGEST_PX, DetailConfig
from export.detail.stage import export_detail
from export.graph.operations import Graph
from export.inspect.tflite import inspect_tflite, read_tflite_facts
from export.tflite.emitter import float_file

SIDE = 32
SMALL = DetailConfig(photo_size_px=80)


@pytest.mark.parametrize(("io_type", "dtype"), [("uint8", np.uint8), ("float", np.float32)])
def test_file_takes_and_returns_what_the_student_does(
    command, students: Mapping[IoType, Path], tmp_path: Path, io_type: IoType, dtype: type
) -> None:
    out = tmp_path / "detail.tflite"
    student = students[io_type]
    finished = command("export", "detail", student, "--photo-size-px", 80, "--out", out, "--json")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["size_bytes"] == out.stat().st_size < 15_000
    assert (result["io_type"], result["xnnpack"]["partitions"], result["xnnpack"]["undelegated"]) == (io_type, 1, {})
    assert result["parity"]["largest_difference"] <= 3
    run = Interpreter(model_path=str(out)).get_signature_runner()
    ends = {**run.get_input_details(), **run.get_output_details()}
    assert {name: (tuple(end["shape"]), end["dtype"]) for name, end in ends.items()} == {
        "photo": ((1, 80, 80, 3), dtype),
        "image": ((1, SIDE, SIDE, 3), dtype),
        "generated": ((1, SIDE, SIDE, 3), dtype),
        "detailed": ((1, 80, 80, 3), dtype),
    }
    assert {end["name"] for end in ends.values()} == set(ends)


def test_bytes_have_the_scale_of_a_students(students: Mapping[IoType, Path], tmp_path: Path) -> None:
    student = students["uint8"]
    export_detail(student, SMALL, tmp_path / "detail.tflite")
    files = [Interpreter(model_path=str(path)) for path in (student, tmp_path / "detail.tflite")]
    ends = [end for file in files for end in (*file.get_input_details(), *file.get_output_details())]
    assert len(ends) == 6
    assert len({end["quantization"] for end in ends}) == 1


def test_student_with_int8_ends_is_refused_with_what_to_do(students: Mapping[IoType, Path], tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"takes int8 and returns int8; .*\n?.*--io-type uint8"):
        export_detail(students["int8"], SMALL, tmp_path / "detail.tflite")


def test_artifact_is_a_student_too(students: Mapping[IoType, Path], tmp_path: Path) -> None:
    student = students["float"]
    with atomic_dir(tmp_path / "artifact") as scratch:
        (scratch / "model.tflite").write_bytes(student.read_bytes())
        shape = ImageSpec(shape=(SIDE, SIDE, 3))
        cost = Cost(params=12, macs=None, size_bytes=1)
        write_manifest(
            scratch, Manifest(name="a", format="tflite", stage="export", parent=None, input=shape, cost=cost)
        )
    export_detail(student, SMALL, tmp_path / "one.tflite")
    export_detail(tmp_path / "artifact", SMALL, tmp_path / "other.tflite")
    assert (tmp_path / "one.tflite").read_bytes() == (tmp_path / "other.tflite").read_bytes()


@pytest.mark.parametrize("photo_size_px", [SIDE, SIDE - 1])
def test_photo_no_larger_than_the_students_is_refused(
    students: Mapping[IoType, Path], tmp_path: Path, photo_size_px: int
) -> None:
    with pytest.raises(UsageError, match=f"photo_size_px = {photo_size_px}, but .* makes pictures of {SIDE}"):
        export_detail(students["float"], DetailConfig(photo_size_px=photo_size_px), tmp_path / "detail.tflite")


def test_photo_of_more_than_4k_is_refused() -> None:
    with pytest.raises(UsageError, match=f"photo_size_px = {LARGEST_PX + 1}, expected at most {LARGEST_PX}"):
        DetailConfig(photo_size_px=LARGEST_PX + 1)


def test_student_that_is_not_exported_is_refused(small_artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusableModel, match=r"no \.tflite file and no artifact of one.*compress export tflite"):
        export_detail(small_artifact, SMALL, tmp_path / "detail.tflite")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(lambda make: float_file(make(SIDE, 48)), "expected a square image", id="not square"),
        pytest.param(
            lambda make: float_file(make(SIDE, SIDE), unit_output=True), "pixels in 0..1", id="output in 0..1"
        ),
    ],
)
def test_student_whose_pictures_it_could_not_take_is_refused(
    negative: Callable[[int, int], Graph], content: Callable[..., bytes], said: str, tmp_path: Path
) -> None:
    (tmp_path / "student.tflite").write_bytes(content(negative))
    with pytest.raises(UnusableModel, match=said):
        export_detail(tmp_path / "student.tflite", SMALL, tmp_path / "detail.tflite")


def test_name_of_another_format_is_refused(students: Mapping[IoType, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected a file name that ends in \.tflite"):
        export_detail(students["float"], SMALL, tmp_path / "detail")


def test_own_file_is_replaced_with_overwrite_and_a_students_never(
    students: Mapping[IoType, Path], tmp_path: Path
) -> None:
    student, out = students["uint8"], tmp_path / "detail.tflite"
    export_detail(student, SMALL, out)
    first = out.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        export_detail(student, SMALL, out)
    export_detail(student, DetailConfig(photo_size_px=96), out, overwrite=True)
    assert out.read_bytes() != first
    other = shutil.copy(students["float"], tmp_path)
    with pytest.raises(UsageError, match="was not written by this tool"):
        export_detail(student, SMALL, Path(other), overwrite=True)


@pytest.mark.parametrize(
    ("name", "factor"), [("FLAT", 2), ("MISFIT", 2), ("LARGEST", 1.5)], ids=["flat", "misfit", "largest"]
)
def test_file_that_does_something_else_than_the_lens_is_not_written(
    monkeypatch: pytest.MonkeyPatch, students: Mapping[IoType, Path], tmp_path: Path, name: str, factor: float
) -> None:
    monkeypatch.setattr(network, name, factor * getattr(network, name))
    student = students["float"]
    with pytest.raises(ParityError, match=r"steps of a byte from the lens.*Nothing was written"):
        export_detail(student, DetailConfig(photo_size_px=256), tmp_path / "detail.tflite")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_file_says_what_it_takes(students: Mapping[IoType, Path], tmp_path: Path) -> None:
    out = tmp_path / "detail.tflite"
    export_detail(students["uint8"], SMALL, out)
    model = schema.ModelT.InitFromPackedBuf(out.read_bytes())
    assert (
        model.description == b"PocketGAN detail: adds the detail of a photo of 80x80 to a student's picture of 32x32."
    )
    assert b"The same square, 32x32: what the student takes." in out.read_bytes()


def test_inspect_lists_its_inputs_and_takes_none_for_another_size(
    students: Mapping[IoType, Path], tmp_path: Path
) -> None:
    out = tmp_path / "detail.tflite"
    export_detail(students["uint8"], SMALL, out)
    report = read_tflite_facts(out)
    assert report["input"]["shape"] == [80, 80, 3]
    assert [each["shape"] for each in report["other_inputs"]] == [[SIDE, SIDE, 3]] * 2
    assert "other_signatures" not in report
    assert inspect_tflite(out)["fallbacks"] == []
