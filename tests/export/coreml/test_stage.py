"""`compress export coreml` keeps the contract of a stage; what is inside a package is for `coreml_side`."""

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keras import layers
from PIL import Image

from compress import console
from compress.artifact import file_fingerprint, open_artifact
from compress.errors import ParityError, UnsupportedLayer, UnusableModel, UsageError
from compress.images.sheet import LABEL_PX
from export.cli import app
from export.config import CoremlConfig
from export.coreml import child, stage
from export.source import SourceGenerator

needs_coremltools = pytest.mark.skipif(
    importlib.util.find_spec("coremltools") is None, reason="the extra `coreml` is not installed"
)


@pytest.fixture(scope="module")
def written(small_student, photo_folder, tmp_path_factory) -> tuple[Path, Path]:
    """A student's artifact and its export, by the command."""
    folder = tmp_path_factory.mktemp("coreml")
    source, out = folder / "student.keras", folder / "out"
    small_student.save(source)
    swift = ["--swift", str(folder / "swift")]
    flags = ["--data", str(photo_folder), "--author", "Somebody", "--license", "Apache-2.0", "--model-version", "7"]
    assert console.run(app, ["coreml", str(source), "--out", str(out), *flags, *swift, "--json"]) == 0
    return source, out


@needs_coremltools
def test_artifact_is_whole_and_tells_what_it_is(written):
    source, out = written
    artifact = open_artifact(out)
    manifest = artifact.manifest
    assert (manifest.format, manifest.stage, manifest.parent) == ("mlpackage", "export", file_fingerprint(source))
    assert (manifest.input.shape, manifest.input.layout, manifest.input.dtype) == ((32, 32, 3), "NCHW", "uint8")
    assert manifest.config["precision"] == "fp16"
    assert manifest.versions["coremltools"]
    files = [path for path in artifact.model_path.rglob("*") if path.is_file()]
    assert manifest.cost.size_bytes == sum(path.stat().st_size for path in files)
    assert manifest.scores["parity"]["psnr_db"] > 60
    inside = manifest.scores["coreml"]
    assert inside["graph_bytes"] + inside["weights_bytes"] == manifest.cost.size_bytes
    assert inside["operations"]["tanh"] == 1
    assert inside["in_float32"] == []
    assert set(inside["largest_activations"]) >= {"image", "generated"}
    assert 0 < inside["largest_activations"]["image"] <= 1
    with Image.open(out / "samples.png") as sheet:
        assert sheet.size == (3 * 36 + 4, LABEL_PX + 4 * 36 + 4)
    written = ["manifest.json", "model.mlpackage", "model_card.md", "samples.png"]
    assert sorted(path.name for path in out.glob("[!.]*")) == written
    assert "Core ML, fp16" in (out / "model_card.md").read_text(encoding="utf-8")


@needs_coremltools
def test_swift_package_holds_the_model_and_what_it_makes_of_a_photo(written):
    _, out = written
    library = out.parent / "swift/Sources/PocketGenerator"
    assert file_fingerprint(library / "model.mlpackage") == file_fingerprint(out / "model.mlpackage")
    with Image.open(out / "samples.png") as sheet:
        pixels = np.asarray(sheet)[LABEL_PX:]
    crops = {"photo": pixels[4:36, 4:36], "expected": pixels[4:36, 76:108]}
    for name, picture in crops.items():
        stored = np.frombuffer((library / f"{name}.bgra").read_bytes(), np.uint8).reshape(32, 32, 4)
        np.testing.assert_array_equal(stored[..., 2::-1], picture)
        assert (stored[..., 3] == 255).all()
    assert ".v16" in (out.parent / "swift/Package.swift").read_text()


@needs_coremltools
def test_inspect_lists_the_operations_of_the_package(written, command):
    _, out = written
    finished = command("inspect", out, "--fail-on", "fallback", "--json")
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    kinds = Counter(operator["code"] for operator in report["operators"])
    assert kinds == open_artifact(out).manifest.scores["coreml"]["operations"]
    assert {operator["dtype"] for operator in report["operators"] if operator["code"] == "conv"} == {"fp16"}
    assert report["deployment_target"]["ios"] == 16
    assert report["fallbacks"] == []


@needs_coremltools
def test_a_torn_package_crosses_the_process_as_its_own_fault(tmp_path):
    (tmp_path / "model.mlpackage").mkdir()
    with pytest.raises(UnusableModel, match=r"model\.mlpackage cannot be read"):
        child.list_contents(tmp_path / "model.mlpackage")


@needs_coremltools
def test_package_carries_what_people_read_about_it(written):
    source, out = written
    description = (out / "model.mlpackage/Data/com.apple.CoreML/model.mlmodel").read_bytes()
    for text in ("Somebody", "Apache-2.0", "32x32 RGB photo", file_fingerprint(source)):
        assert text.encode() in description


@needs_coremltools
def test_same_seed_gives_the_same_weights_and_graph(small_student, as_artifact, photo_folder, tmp_path):
    source = as_artifact(small_student)
    config = CoremlConfig(precision="int8", data=photo_folder, calibration_images=2)
    models = [stage.export_coreml(source, config, tmp_path / name).model_path for name in ("first", "second")]
    for name in ("model.mlmodel", "weights/weight.bin"):
        first, second = (model / "Data/com.apple.CoreML" / name for model in models)
        assert first.read_bytes() == second.read_bytes()


@needs_coremltools
def test_int8_ships_the_scales_of_the_tflite_file(small_student, as_artifact, photo_folder, tmp_path):
    from export.config import TfliteConfig
    from export.tflite.stage import export_tflite

    source = as_artifact(small_student)
    flags = {"precision": "int8", "data": photo_folder, "calibration_images": 3}
    package = stage.export_coreml(source, CoremlConfig(**flags), tmp_path / "package").manifest
    file = export_tflite(source, TfliteConfig(**flags), tmp_path / "file").manifest
    assert package.quantization == file.quantization
    assert abs(package.scores["parity"]["psnr_db"] - file.scores["parity"]["psnr_db"]) < 1


@needs_coremltools
def test_a_package_of_several_sizes_is_checked_at_each(small_student, as_artifact, photo_folder, tmp_path, command):
    out, swift = tmp_path / "out", tmp_path / "swift"
    flags = ["--other-sizes-px", "48", "--data", str(photo_folder), "--swift", str(swift), "--json"]
    source = as_artifact(small_student)
    assert console.run(app, ["coreml", str(source), "--out", str(out), *flags]) == 0
    manifest = open_artifact(out).manifest
    assert manifest.input.shape == (32, 32, 3)
    assert manifest.config["other_sizes_px"] == [48]
    assert list(manifest.scores["parity_at"]) == ["48x48"]
    for parity in (manifest.scores["parity"], *manifest.scores["parity_at"].values()):
        assert parity["psnr_db"] > 60
    assert "32x32 or 48x48 pixels" in (swift / "README.md").read_text()
    finished = command("inspect", out, "--json")
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["other_sizes_px"] == [48]
    assert any("32x32, 48x48" in note for note in report["notes"])
    # Two bytes a weight: no size has weights of its own.
    assert manifest.scores["coreml"]["weights_bytes"] < 2.2 * manifest.cost.params


@needs_coremltools
def test_the_size_that_misses_the_bound_is_named(small_student, as_artifact, tmp_path, monkeypatch):
    at_other_size = stage.sizes._lower_at

    def spoilt(*arguments):
        other = at_other_size(*arguments)
        return replace(other, expected=[-picture for picture in other.expected])

    monkeypatch.setattr(stage.sizes, "_lower_at", spoilt)
    with pytest.raises(ParityError, match="the fp16 package at 48x48 is"):
        stage.export_coreml(as_artifact(small_student), CoremlConfig(other_sizes_px=(48,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_coremltools
def test_nothing_is_written_when_parity_fails(small_student, as_artifact, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(stage.LEAST_PSNR_DB, "fp16", 1000.0)
    source = as_artifact(small_student)
    assert console.run(app, ["coreml", str(source), "--out", str(tmp_path / "out")]) == ParityError.exit_code
    assert "the fp16 package is" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


@needs_coremltools
def test_operation_without_a_form_crosses_the_process_with_its_name(small_student, as_artifact, tmp_path, monkeypatch):
    def with_dilation(*arguments, **options):
        from export.graph.operations import TransposedConvolution

        graph = lower(*arguments, **options)
        last = graph.operations[-1]
        kernel = np.zeros((3, 3, 3, 3), np.float32)
        odd = TransposedConvolution(
            inputs=last.inputs,
            output="generated",
            shape=last.shape,
            kernel=kernel,
            bias=kernel[0, 0, 0],
            dilation=(2, 2),
        )
        return replace(graph, operations=(*graph.operations[:-1], odd))

    lower = SourceGenerator.lower
    monkeypatch.setattr(SourceGenerator, "lower", with_dilation)
    monkeypatch.setattr(stage.overflow, "measure_activations", lambda *_: {})
    with pytest.raises(UnsupportedLayer, match=r"layer generated \(TransposedConvolution\)"):
        stage.export_coreml(as_artifact(small_student), CoremlConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@needs_coremltools
def test_child_that_fails_shows_its_traceback(small_student, as_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "_metadata", lambda *_: {"author": object})
    with pytest.raises(RuntimeError, match="Traceback"):
        stage.export_coreml(as_artifact(small_student), CoremlConfig(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_extra_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    (tmp_path / "no_model.h5").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--extra coreml"):
        stage.export_coreml(tmp_path / "no_model.h5", CoremlConfig(), tmp_path / "out")


def test_missing_extra_costs_no_framework(command, tmp_path):
    program = (
        "import sys; sys.modules['coremltools'] = None; from compress import console; from export.cli import app;"
        "code = console.run(app, ['coreml', sys.argv[1], '--out', sys.argv[2]]);"
        "print(code, {'keras', 'tensorflow', 'torch'} & set(sys.modules))"
    )
    import subprocess

    line = [sys.executable, "-P", "-c", program, __file__, str(tmp_path / "out")]
    finished = subprocess.run(line, capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "2 set()"
    assert "--extra coreml" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--precision", "int4"), 2, "int4"),
        (("--precision", "int8"), 2, "--data"),
        (("--image-size-px", "0"), 2, "image_size_px = 0"),
        (("--other-sizes-px", "0"), 2, "other_sizes_px = 0"),
        (("--other-sizes-px", "64", "--other-sizes-px", "64"), 2, "other_sizes_px = 64 is given 2 times"),
    ],
)
def test_wrong_flags_end_with_their_code(tmp_path, capsys, arguments, code: int, message: str):
    source = tmp_path / "teacher.h5"
    source.touch()
    assert console.run(app, ["coreml", str(source), "--out", str(tmp_path / "out"), *arguments]) == code
    assert message in capsys.readouterr().err


def test_layer_that_no_phone_holds_ends_with_4(
    chain: Callable, as_artifact, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(child, "check_coremltools", lambda: None)
    source = as_artifact(chain([layers.Conv2D(3, 1), layers.LayerNormalization(name="odd")]))
    assert console.run(app, ["coreml", str(source), "--out", str(tmp_path / "out")]) == 4
    assert "layer odd (LayerNormalization)" in capsys.readouterr().err
    assert json.loads((source / "manifest.json").read_text())["name"] == "student"


def _run_limited(body: str, tmp_path: Path) -> subprocess.Popen[str]:
    """Run the child's own start in a process that then hangs as `body` says, in place of coremltools."""
    program = f"""
import sys, time
from export.coreml import child
child.WRITING_S = 1
def hang(job, package):
    open({str(tmp_path / "pid")!r}, "w").write(str(child.os.getpid()))
    {body}
child._do_job = hang
child.Path(sys.argv[2]).write_bytes(child.pickle.dumps(None))
child._main()
"""
    holder = f"""
import os, subprocess, sys
line = [sys.executable, "-P", "-c", {program!r}, str(os.getpid()), {str(tmp_path / "job")!r}, "package", "result"]
print(subprocess.run(line).returncode)
"""
    return subprocess.Popen([sys.executable, "-P", "-c", holder], stdout=subprocess.PIPE, text=True)


def _wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_child_that_hangs_ends_by_its_own_clock(tmp_path: Path) -> None:
    started = _run_limited("child.limit_time(child.WRITING_S); time.sleep(1000)", tmp_path)
    answer, _ = started.communicate(timeout=60)
    assert int(answer) == -signal.SIGALRM


def test_child_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    started = _run_limited("time.sleep(1000)", tmp_path)
    _wait_for(lambda: pid.exists() and pid.read_text() != "")
    started.kill()
    started.communicate()
    _wait_for(lambda: not _is_running(int(pid.read_text())))


def _is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("package", [None, Path("strange.mlpackage")], ids=["written", "read"])
def test_child_that_was_ended_is_one_line(package: Path | None) -> None:
    ended = subprocess.CompletedProcess([], -signal.SIGXCPU, "", "")
    with pytest.raises(UnusableModel, match=r"strange\.mlpackage could not be read" if package else "within 3600 s"):
        child._require_success(ended, package)


@needs_coremltools
def test_child_limits_what_it_reads_and_what_it_writes(written, tmp_path, monkeypatch):
    """The limits are those of the readers, set once the libraries are there."""
    _, out = written
    program = (
        "import sys; from pathlib import Path; from export.coreml import child;"
        "child.limit_reading = lambda size: print('read', size); child.limit_time = print;"
        "child._do_job(None, Path(sys.argv[1]))"
    )
    line = [sys.executable, "-P", "-c", program, str(out / "model.mlpackage")]
    finished = subprocess.run(line, capture_output=True, text=True, check=True)
    size = sum(member.stat().st_size for member in (out / "model.mlpackage").rglob("*") if member.is_file())
    assert finished.stdout.strip() == f"read {size}"
