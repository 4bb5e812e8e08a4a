"""From a student to its page, without a browser."""

import base64
import gzip
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.errors import UnusableModel, UsageError
from compress.faces import find
from compress.faces.template import AlignmentTemplate
from export.graph.operations import Graph
from export.interpreter.litert import TfliteGenerator
from export.web import page_files
from export.web.config import WebConfig
from export.web.stage import check_picture, export_web

WHOLE = WebConfig(region="whole")


@pytest.fixture
def exported(no_library: None, write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path) -> Path:
    """A page of a student that records a template."""
    student = write_student(two_layers, template=AlignmentTemplate(eye_distance=0.3, level_eyes=False))
    export_web(student, WebConfig(feather=0.2), tmp_path / "page")
    return tmp_path / "page"


def test_a_page_holds_all_that_it_needs_and_says_how_faces_lie(exported: Path) -> None:
    lens = json.loads((exported / "lens.json").read_text())
    assert (lens["name"], lens["region"], lens["size_px"], lens["feather"]) == ("small student", "face", 64, 0.2)
    assert lens["template"]["eye_distance"] == 0.3
    assert lens["template"]["level_eyes"] is False
    assert lens["student"]["input"] == {"dtype": "uint8", "shape": [1, 64, 64, 3], "black": 0.0, "white": 255.0}
    assert lens["student"]["size_bytes"] == (exported / "student.tflite").stat().st_size
    named = [lens["student"]["file"], *(one["file"] for one in (*lens["detectors"].values(), *lens["pictures"]))]
    litert = [
        f"litert/litert_wasm_{build}.{kind}" for build in ("internal", "compat_internal") for kind in ("js", "wasm")
    ]
    for name in (*named, *litert, "litert/core.js", "index.html", "app.js", "worker.js", "style.css", "NOTICE"):
        assert (exported / name).is_file(), name
    assert not (exported / "litert/litert_wasm_threaded_internal.js").exists()
    generator = TfliteGenerator((exported / "student.tflite").read_bytes())
    expected = generator.run(check_picture(64))
    np.testing.assert_array_equal(np.frombuffer((exported / "check.bin").read_bytes(), np.uint8), expected.ravel())


def test_a_page_of_whole_pictures_holds_no_detector(
    no_library: None, write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path
) -> None:
    result = export_web(write_student(two_layers, "float"), WHOLE, tmp_path / "page")
    lens = json.loads((tmp_path / "page/lens.json").read_text())
    assert lens["detectors"] == {}
    assert not list((tmp_path / "page").glob("*_range*"))
    assert (lens["student"]["input"]["black"], lens["student"]["input"]["white"]) == (-1.0, 1.0)
    assert lens["student"]["output"] == {"dtype": "float32", "black": -1.0, "white": 1.0}
    assert result["single_file_bytes"] == (tmp_path / "page/lens.html").stat().st_size
    assert result["student_bytes"] == (tmp_path / "page/student.tflite").stat().st_size


def test_the_single_file_holds_the_folders_files_and_may_run_its_own_script_alone(exported: Path) -> None:
    html = (exported / "lens.html").read_text()
    packed = dict(re.findall(r'<script type="application/gzip" data-asset="([^"]+)">([^<]+)</script>', html))
    apart = {"index.html", "lens.html", "app.js", "style.css", ".pocketgan"}
    files = {path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file()} - apart
    assert set(packed) == files
    for name, content in packed.items():
        assert gzip.decompress(base64.b64decode(content)) == (exported / name).read_bytes(), name
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    (script,) = re.findall(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' blob: 'wasm-unsafe-eval'" in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert "src=" not in re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_the_same_student_gives_the_same_page(
    no_library: None, write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path
) -> None:
    student = write_student(two_layers)
    contents = []
    for name in ("first", "second"):
        export_web(student, WebConfig(), tmp_path / name)
        contents.append((tmp_path / name / "lens.html").read_bytes())
    assert contents[0] == contents[1]


def test_joined_scripts_are_whole() -> None:
    """Joining takes imports and exports out, so a name may be defined once alone in a script."""
    for name, content in page_files.read_scripts().items():
        if name.endswith(".js"):
            text = content.decode()
            assert not re.search(r"^(import|export)\b", text, re.MULTILINE), name
            defined = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", text, re.MULTILINE)
            assert len(defined) == len(set(defined)) > 5, name


def test_each_module_imports_what_stands_before_it_in_its_script() -> None:
    for modules in (page_files._APP, page_files._WORKER):
        for place, name in enumerate(modules):
            imported = re.findall(r'from "\./(\w+)\.js"', page_files._read(f"{name}.js"))
            assert set(imported) <= set(modules[:place]), name


def test_the_page_takes_a_face_for_one_where_python_does() -> None:
    faces = page_files._read("faces.js")
    least = dict(re.findall(r"(\w+): ([\d.]+)", re.findall(r"LEAST = \{(.*?)\}", faces)[0]))
    assert {name: float(value) for name, value in least.items()} == {
        "find": find._LEAST_FIND,
        "confirmed": find._LEAST_CONFIRMED,
        "findLarge": find._LEAST_FIND_LARGE,
        "confirmedLarge": find._LEAST_CONFIRMED_LARGE,
    }
    for name, value in (("LARGE", find._LARGE), ("SURE", find._SURE), ("AROUND", find._AROUND)):
        assert float(re.findall(rf"const {name} = ([\d.]+);", faces)[0]) == value


def test_pictures_are_made_small_and_hold_their_pixels_alone(
    no_library: None, write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    for number in range(8):
        Image.new("RGB", (2000, 1000), (number, 9, 9)).save(folder / f"{number}.jpg", exif=exif)
    export_web(write_student(two_layers), WebConfig(region="whole", pictures=folder), tmp_path / "page")
    written = sorted((tmp_path / "page/pictures").iterdir())
    assert [path.name for path in written] == [f"{number}.jpg" for number in range(6)]
    for path in written:
        with Image.open(path) as image:
            assert image.size == (960, 480)
        assert b"where I live" not in path.read_bytes()


def test_int8_ends_are_refused_with_the_flag_that_helps(
    write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path
) -> None:
    with pytest.raises(UnusableModel, match=r"takes int8, which LiteRT\.js 2\.5\.3 cannot pass\. .*--io-type uint8"):
        export_web(write_student(two_layers, "int8"), WHOLE, tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_what_is_not_exported_yet_needs_photos(teacher_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tiny\.pth is not exported yet\. Pass --data"):
        export_web(teacher_file, WHOLE, tmp_path / "page")


def test_a_photo_in_the_students_place_is_called_a_photo(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "portrait.jpg")
    with pytest.raises(UnusableModel, match=r"portrait\.jpg: it is a JPEG picture"):
        export_web(tmp_path / "portrait.jpg", WHOLE, tmp_path / "page")


def test_a_flag_that_the_command_lacks_is_named_with_the_command_that_has_it(
    teacher_file: Path, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_) -> None:
        raise UsageError("It takes images of any size. Choose one with --image-size-px. --data is fine.")

    monkeypatch.setattr("export.web.student.export_tflite", refuse)
    with pytest.raises(UsageError, match=r"`compress export tflite .*tiny\.pth` has --image-size-px, this command has"):
        export_web(teacher_file, WebConfig(region="whole", data=photo_folder), tmp_path / "page")


def test_a_student_is_exported_on_the_way_with_the_ends_of_a_page(
    no_library: None, small_artifact: Path, photo_folder: Path, tmp_path: Path
) -> None:
    export_web(small_artifact, WebConfig(region="whole", data=photo_folder, calibration_images=2), tmp_path / "page")
    student = json.loads((tmp_path / "page/lens.json").read_text())["student"]
    assert (student["input"]["dtype"], student["output"]["dtype"]) == ("uint8", "uint8")


def test_what_is_exported_takes_no_photos(
    write_student: Callable[..., Path], two_layers: Graph, photo_folders: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"is exported already; --data is for what is not"):
        export_web(write_student(two_layers), WebConfig(region="whole", data=photo_folders), tmp_path / "page")


def test_faults_end_with_their_exit_code_and_a_line(
    command: Callable[..., subprocess.CompletedProcess[str]],
    write_student: Callable[..., Path],
    two_layers: Graph,
    teacher_file: Path,
    tmp_path: Path,
) -> None:
    for source, exit_code, message in (
        (tmp_path / "missing.tflite", 3, "does not exist"),
        (write_student(two_layers, "int8"), 3, "--io-type uint8"),
        (teacher_file, 2, "Pass --data"),
    ):
        finished = command("export", "web", source, "--out", tmp_path / "page")
        assert finished.returncode == exit_code, finished.stderr
        assert message in finished.stderr
        assert "Traceback" not in finished.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_page_replaces_nothing_unasked(
    no_library: None, write_student: Callable[..., Path], two_layers: Graph, tmp_path: Path
) -> None:
    student = write_student(two_layers)
    export_web(student, WHOLE, tmp_path / "page")
    with pytest.raises(UsageError, match="--overwrite"):
        export_web(student, WHOLE, tmp_path / "page")
    export_web(student, WHOLE, tmp_path / "page", overwrite=True)
    assert (tmp_path / "page/index.html").is_file()


def test_a_feather_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"feather = 0\.6, expected 0\.02 to 0\.5"):
        WebConfig(feather=0.6)
