"""The Android app around a `.tflite` file: whole, compiled where a Kotlin compiler is, its tensors the manifest's."""

import json
import re
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as Tree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compress.artifact import file_fingerprint, open_artifact
from export.config import TfliteConfig
from export.interpreter.litert import TfliteGenerator
from export.tflite.app import ASSETS, CONTRACT, string_literal
from export.tflite.emitter import PIXEL_RANGES
from export.tflite.stage import export_tflite

STUBS = Path(__file__).with_name("android_stubs")
KOTLINC = shutil.which("kotlinc")
_ANDROID = "{http://schemas.android.com/apk/res/android}"
_PIXELS = [0xFFFFFFFF, 0xFF000000, 0xFF102030, 0xFF7F8081]


@pytest.fixture(scope="module")
def exported(small_artifact, photo_folder, tmp_path_factory) -> tuple[Path, Path]:
    """Return an int8 export with camera bytes at its ends, and the app around it."""
    folder = tmp_path_factory.mktemp("exported")
    config = TfliteConfig(precision="int8", io_type="uint8", data=photo_folder, calibration_images=2)
    export_tflite(small_artifact, config, folder / "out", app=folder / "app")
    return folder / "out", folder / "app"


def _constants(app: Path) -> dict[str, str]:
    return dict(re.findall(r"const val (\w+) = (.+)", (app / CONTRACT).read_text(encoding="utf-8")))


def test_contract_is_the_manifests_and_the_assets_are_the_exports(exported):
    out, app = exported
    manifest = open_artifact(out).manifest
    constants = _constants(app)
    height, width, _ = manifest.input.shape
    assert (constants["HEIGHT_PX"], constants["WIDTH_PX"]) == (str(height), str(width))
    assert constants["DATA_TYPE"] == '"uint8"'
    assert (constants["BLACK"], constants["WHITE"]) == ("0.0f", "255.0f")
    assert constants["SIZE_BYTES"] == str(manifest.cost.size_bytes)
    assert constants["SHA256"].strip('"') == file_fingerprint(out / "model.tflite")
    assert (app / ASSETS / "model.tflite").read_bytes() == (out / "model.tflite").read_bytes()
    assert (app / ".pocketgan").is_file()


def test_the_expected_picture_is_what_the_file_makes_of_the_sample(exported):
    out, app = exported
    photo, expected = (np.asarray(Image.open(app / ASSETS / name)) for name in ("photo.png", "expected.png"))
    made = TfliteGenerator((out / "model.tflite").read_bytes()).translate(photo)
    assert np.abs((made + 1) * 127.5 - expected).max() <= 0.5 + 1e-3
    assert expected.std() > 1


@pytest.mark.parametrize("io_type", ["float", "int8"])
def test_other_ends_have_their_own_type_and_range(small_artifact, photo_folder, tmp_path, io_type):
    config = TfliteConfig(precision="int8", io_type=io_type, data=photo_folder, calibration_images=2)
    export_tflite(small_artifact, config, tmp_path / "out", app=tmp_path / "app")
    constants, (black, white) = _constants(tmp_path / "app"), PIXEL_RANGES[io_type]
    assert constants["DATA_TYPE"].strip('"') == {"float": "float32", "int8": "int8"}[io_type]
    assert (constants["BLACK"], constants["WHITE"]) == (f"{black}f", f"{white}f")


def test_names_cannot_break_out_of_their_literal():
    assert string_literal('a "b" \\ ${x}\n') == r'"a \"b\" \\ \${x}\u000a"'
    assert string_literal("\U000e0001") == r'"\udb40\udc01"'


def test_every_resource_and_class_that_is_named_is_there(exported):
    _, app = exported
    main = app / "app/src/main"
    texts = {path.name: path.read_text(encoding="utf-8") for path in main.rglob("*.kt")}
    layout = Tree.parse(main / "res/layout/main.xml")
    identifiers = {node.get(f"{_ANDROID}id", "").removeprefix("@+id/") for node in layout.iter()}
    used = {name for text in texts.values() for name in re.findall(r"R\.id\.(\w+)", text)}
    assert used == identifiers - {""}
    strings = {node.get("name") for node in Tree.parse(main / "res/values/strings.xml").iter("string")}
    named = {
        name for path in main.rglob("*.xml") for name in re.findall(r"@string/(\w+)", path.read_text(encoding="utf-8"))
    }
    assert named == strings
    manifest = Tree.parse(main / "AndroidManifest.xml")
    (activity,) = manifest.iter("activity")
    assert f"{activity.attrib[f'{_ANDROID}name'][1:]}.kt" in texts
    (provider,) = manifest.iter("provider")
    assert f'"{provider.get(f"{_ANDROID}authorities")}"' in texts["MainActivity.kt"]
    for asset in ("photo.png", "expected.png", "model.tflite"):
        assert any(f'"{asset}"' in text for text in texts.values())
        assert (main / "assets" / asset).is_file()


def test_kotlin_files_are_balanced_and_use_what_they_import(exported):
    _, app = exported
    files = [*app.rglob("*.kt"), *app.rglob("*.kts")]
    assert len(files) == 8
    for path in files:
        code = re.sub(r'"(\\.|[^"\\])*"|/\*.*?\*/|//[^\n]*', '""', path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for opening, closing in ("()", "[]", "{}"):
            assert code.count(opening) == code.count(closing), path
        imports = re.findall(r"^import [\w.]*?(\w+)$", code, flags=re.MULTILINE)
        body = re.sub(r"^import .*$", "", code, flags=re.MULTILINE)
        assert [name for name in imports if not re.search(rf"\b{name}\b", body)] == [], path


def test_app_and_computer_run_the_same_release_of_litert(exported):
    """The app's picture is compared with one that was made here."""
    _, app = exported
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text(encoding="utf-8"))
    (pinned,) = (each for each in project["project"]["dependencies"] if each.startswith("ai-edge-litert=="))
    version = pinned.partition("==")[2]
    assert f'"com.google.ai.edge.litert:litert:{version}"' in (app / "app/build.gradle.kts").read_text()
    assert f"com.google.ai.edge.litert:litert:{version}" in (app / "README.md").read_text()


@pytest.mark.skipif(KOTLINC is None, reason="no kotlinc here; Debian's package kotlin has one")
def test_the_app_compiles_and_its_pixels_go_to_tensors_and_back(exported, tmp_path):
    _, app = exported
    check = tmp_path / "Check.kt"
    pixels = ", ".join(f"{pixel - (1 << 32)}" for pixel in _PIXELS)
    check.write_text(
        "import org.pocketgan.sample.Pixels\n"
        "fun main() {\n"
        f"    val given = intArrayOf({pixels})\n"
        "    val (float, int8, uint8) = listOf(Pixels(-1f, 1f), Pixels(-128f, 127f), Pixels(0f, 255f))\n"
        "    println(float.toFloats(given).toList())\n"
        "    println(int8.toBytes(given).map { it.toInt() })\n"
        "    println(uint8.toBytes(given).map { it.toInt() and 0xFF })\n"
        "    val back = listOf(\n"
        "        float.fromFloats(float.toFloats(given)),\n"
        "        int8.fromBytes(int8.toBytes(given), isUnsigned = false),\n"
        "        uint8.fromBytes(uint8.toBytes(given), isUnsigned = true)\n"
        "    )\n"
        "    println(back.map { it contentEquals given })\n"
        "    println(float.fromFloats(floatArrayOf(-1.5f, 0f, 1.5f)).map { it and 0xFFFFFF })\n"
        "}\n"
    )
    jar = tmp_path / "app.jar"
    sources = [app / "app/src/main/kotlin", STUBS, check]
    compiled = subprocess.run(
        [str(KOTLINC), *map(str, sources), "-include-runtime", "-d", str(jar)], capture_output=True, text=True
    )
    assert compiled.returncode == 0, compiled.stderr
    run = subprocess.run(["java", "-cp", str(jar), "CheckKt"], capture_output=True, text=True, check=True)
    floats, int8, uint8, back, clipped = map(json.loads, run.stdout.splitlines())
    steps = [pixel >> shift & 0xFF for pixel in _PIXELS for shift in (16, 8, 0)]
    assert floats == pytest.approx([step / 127.5 - 1 for step in steps], abs=1e-6)
    assert int8 == [step - 128 for step in steps]
    assert uint8 == steps
    assert back == [True, True, True]
    assert clipped == [0x0080FF]


def test_command_writes_the_app_and_keeps_what_is_not_its_own(command, small_artifact, tmp_path):
    app, out = tmp_path / "app", tmp_path / "out"
    app.mkdir()
    (app / "mine.kt").write_text("mine")
    refused = command("tflite", small_artifact, "--out", out, "--app", app, "--overwrite", module="export")
    assert refused.returncode == 2
    assert "was not written by this tool" in refused.stderr
    assert [path.name for path in app.iterdir()] == ["mine.kt"]
    assert not out.exists()
    (app / "mine.kt").unlink()
    app.rmdir()
    for place in (out, out / "app", small_artifact):
        finished = command("tflite", small_artifact, "--out", out, "--app", place, module="export")
        assert finished.returncode == 2, finished.stderr
    finished = command("tflite", small_artifact, "--out", out, "--app", app, "--json", module="export")
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["app"] == str(app)
    assert (app / CONTRACT).is_file()
