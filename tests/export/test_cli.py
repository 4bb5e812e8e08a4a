"""The commands as a user types them: exit codes, JSON on stdout, nothing half written."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from keras import layers

from compress import console
from compress.images import write_png
from export import parity
from export.cli import app


def test_export_prints_json_and_writes_an_artifact(command, small_student, as_artifact, photo_folder, tmp_path):
    source, out = as_artifact(small_student), tmp_path / "out"
    flags = ("--precision", "int8", "--data", photo_folder, "--io-type", "uint8", "--calibration-images", 2, "--json")
    finished = command("tflite", source, "--out", out, *flags, module="export")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["size_bytes"] == (out / "model.tflite").stat().st_size
    assert result["xnnpack"]["undelegated"] == {}
    assert result["parity"]["share_within_a_step"] >= 0.999


def test_onnx_export_prints_json_and_writes_an_artifact(command, small_artifact, tmp_path):
    out = tmp_path / "out"
    finished = command("onnx", small_artifact, "--out", out, "--target", "lens-studio", "--json", module="export")
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert result["size_bytes"] == (out / "model.onnx").stat().st_size
    assert (result["io_type"], result["opset"]) == ("rgb255", 11)
    assert result["parity"]["psnr_db"] > 90
    assert (out / "lens_studio.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("tflite", "{here}", "--out", "{new}", "--precison", "int8"), 2, "--precison"),
        (("tflite", "{here}", "--out", "{new}", "--precision", "int4"), 2, "int4"),
        (("tflite", "{here}", "--out", "{new}", "--precision", "int8"), 2, "--data"),
        (("tflite", "{here}", "--out", "{new}", "--io-type", "uint8"), 2, "--precision int8"),
        (("tflite", "{here}", "--out", "{here}"), 2, "is the same as"),
        (("tflite", "{new}/missing.h5", "--out", "{new}"), 3, "does not exist"),
        (("tflite", "{here}", "--out", "{new}", "--target", "npu-apple"), 2, "npu-apple"),
        (("onnx", "{here}", "--out", "{new}", "--precision", "int8", "--data", "x", "--opset", "11"), 2, "13 to 21"),
        (("onnx", "{new}/missing.h5", "--out", "{new}"), 3, "does not exist"),
    ],
)
def test_wrong_input_ends_with_its_code_and_one_line(command, tmp_path, arguments, code: int, message: str):
    places = {"here": tmp_path, "new": tmp_path / "new"}
    finished = command(*(argument.format(**places) for argument in arguments), module="export")
    assert finished.returncode == code
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_unsupported_layer_ends_with_4(chain, as_artifact, tmp_path, capsys):
    source = as_artifact(chain([layers.Conv2D(3, 1), layers.LayerNormalization(name="odd")]))
    assert console.run(app, ["tflite", str(source), "--out", str(tmp_path / "out")]) == 4
    assert "layer odd (LayerNormalization)" in capsys.readouterr().err


def test_failed_parity_ends_with_5(small_student, as_artifact, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(parity.LEAST_PSNR_DB, "fp32", 1000.0)
    source = as_artifact(small_student)
    assert console.run(app, ["tflite", str(source), "--out", str(tmp_path / "out")]) == 5
    assert "dB from its source" in capsys.readouterr().err


def test_help_names_every_flag_and_loads_no_framework(command):
    program = (
        "import sys; from export.cli import app; app(['tflite', '--help'], result_action='return_value');"
        "print(sorted({'keras', 'tensorflow', 'torch', 'ai_edge_litert'} & set(sys.modules)), file=sys.stderr)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stderr.strip() == "[]"
    flags = (
        "precision",
        "data",
        "io-type",
        "image-size-px",
        "calibration-images",
        "author",
        "license",
        "description",
        "lambda-layers",
        "seed",
        "overwrite",
        "json",
    )
    assert all(f"--{flag}" in finished.stdout for flag in flags)


def test_translating_a_file_loads_no_tensorflow(small_student, as_artifact, photo_folder, tmp_path):
    artifact = as_artifact(small_student)
    assert console.run(app, ["tflite", str(artifact), "--out", str(tmp_path / "file")]) == 0
    program = (
        "import sys; from pathlib import Path; from export.config import TranslateConfig;"
        "from export.translate import translate;"
        "translate(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), TranslateConfig());"
        "assert not {'keras', 'tensorflow', 'torch'} & set(sys.modules)"
    )
    places = (tmp_path / "file", photo_folder, tmp_path / "out")
    subprocess.run([sys.executable, "-c", program, *map(str, places)], capture_output=True, check=True)
    assert len(list((tmp_path / "out").glob("*.png"))) == 8


def test_interrupted_translation_leaves_nothing(start_command, small_student, as_artifact, tmp_path):
    artifact = as_artifact(small_student)
    assert console.run(app, ["tflite", str(artifact), "--out", str(tmp_path / "file")]) == 0
    (tmp_path / "many").mkdir()
    # Large photos under many names: minutes of work, so that the interrupt comes in the middle of it.
    write_png(tmp_path / "many" / "0.png", np.full((3000, 3000, 3), 128, np.uint8))
    for index in range(1, 1000):
        (tmp_path / "many" / f"{index}.png").hardlink_to(tmp_path / "many" / "0.png")
    places = (tmp_path / "file", tmp_path / "many", "--out", tmp_path / "out")
    process = start_command("translate", *places)
    _wait_for(lambda: any(_written(tmp_path)))
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "many", artifact.name]


def _written(folder: Path) -> list[Path]:
    return list(folder.glob(".out.partial-*/*.png"))


def _wait_for(condition, limit_s: float = 60) -> None:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit_s
        time.sleep(0.02)
