"""tflite-runtime 2.14 (2023), which stands for the runtime inside older apps, runs every form of file; tflite-support
0.4.4 reads their metadata. Both want NumPy 1 and Python 3.11, so they live in an environment of their own.
"""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress.images import to_float
from export.calibration import observe
from export.graph.lower import lower
from export.graph.quantized import quantize_graph
from export.interpreter.litert import TfliteGenerator
from export.parity import synthetic_photos
from export.tflite import emitter
from export.tflite.metadata import ModelMetadata

FORMS = ("fp32", "fp16", "dynamic", "float", "int8", "uint8")
"""Float files by the storage of their weights; int8 files by their input and output type."""
PRIVATE_UV = Path(__file__).resolve().parents[3] / ".tools" / "bin"
"""Folder into which `make` puts a uv of its own."""
PACKAGES = ("tflite-runtime==2.14.0", "tflite-support==0.4.4", "numpy<2")

_RUN = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter

folder, *forms = sys.argv[1:]
for form in forms:
    interpreter = Interpreter(f"{folder}/{form}.tflite")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.load(f"{folder}/{form}_given.npy"))
    interpreter.invoke()
    np.save(f"{folder}/{form}_returned.npy", interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
"""
_RUN_SIGNATURE = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter

file, signature, given, returned = sys.argv[1:]
run = Interpreter(file).get_signature_runner(signature)
np.save(returned, run(image=np.load(given))["generated"])
"""
_SHOW = """
import sys
from tflite_support import metadata

print(metadata.MetadataDisplayer.with_model_file(sys.argv[1]).get_metadata_json())
"""


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the old packages."""
    uv = shutil.which("uv") or shutil.which("uv", path=PRIVATE_UV)
    if uv is None:
        pytest.skip("uv, which makes the environment of tflite-runtime 2.14, is not here")
    folder = tmp_path_factory.mktemp("old_runtime") / "venv"
    steps = (["venv", "--python", "3.11", folder], ["pip", "install", "--python", folder, *PACKAGES])
    for step in steps:
        made = subprocess.run([uv, *map(str, step)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"no environment for tflite-runtime 2.14: {made.stderr.strip().splitlines()[-1]}")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def files(small_student, photos, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student in every form, with what the old runtime is fed."""
    graph = lower(small_student, input_shape=small_student.input_shape[1:])
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    folder = tmp_path_factory.mktemp("forms")
    about = ModelMetadata(name="zebra", author="A. Name", license="Apache-2.0")
    for form in FORMS:
        is_integer = form in ("float", "int8", "uint8")
        content = emitter.int8_file(quantized, form, about) if is_integer else emitter.float_file(graph, form, about)
        (folder / f"{form}.tflite").write_bytes(content)
    real = to_float(photos[0])
    integers = {"int8": quantized.tensors["image"].quantize(real), "uint8": photos[0]}
    for form in FORMS:
        np.save(folder / f"{form}_given.npy", integers.get(form, real)[np.newaxis])
    return folder


@pytest.fixture(scope="module")
def old_outputs(old_python: Path, files: Path) -> dict[str, np.ndarray]:
    subprocess.run([old_python, "-c", _RUN, files, *FORMS], check=True, capture_output=True)
    return {form: np.load(files / f"{form}_returned.npy")[0] for form in FORMS}


@pytest.mark.parametrize("form", FORMS)
def test_old_runtime_makes_the_same_picture(form: str, files: Path, old_outputs, photos) -> None:
    generator = TfliteGenerator.open(files / f"{form}.tflite")
    new = generator.to_picture(generator.run(photos[0]))
    steps = np.abs(new - generator.to_picture(old_outputs[form])) * 127.5
    if form in ("fp32", "fp16"):
        assert steps.max() < 0.01
    else:
        # Its integer kernels round otherwise, layer by layer; a finished 256x256 student is 51 dB apart in int8.
        assert 10 * np.log10(255**2 / np.square(steps).mean()) > 40


def test_old_runtime_runs_the_signature_of_another_size(old_python: Path, small_student, source_of, tmp_path) -> None:
    sides = (32, 48)
    source = source_of(small_student)
    usual, other = (lower(source.at_size((side, side)).model, input_shape=(side, side, 3)) for side in sides)
    file, given, returned = tmp_path / "several.tflite", tmp_path / "given.npy", tmp_path / "returned.npy"
    file.write_bytes(emitter.float_file(usual, others=[other]))
    photo = synthetic_photos((48, 48), count=1, seed=1)[0]
    np.save(given, to_float(photo)[np.newaxis])
    line = [old_python, "-c", _RUN_SIGNATURE, file, emitter.signature_of(other), given, returned]
    subprocess.run(line, check=True, capture_output=True)
    new = TfliteGenerator.open(file).at_size((48, 48)).run(photo)
    assert np.abs(new - np.load(returned)[0]).max() * 127.5 < 0.01


def test_standard_reader_shows_the_metadata(old_python: Path, files: Path) -> None:
    finished = subprocess.run(
        [old_python, "-c", _SHOW, files / "uint8.tflite"], check=False, capture_output=True, text=True
    )
    if "libusb" in finished.stderr:
        pytest.skip(f"tflite-support does not load here: {finished.stderr.strip().splitlines()[-1]}")
    assert finished.returncode == 0, finished.stderr
    model = json.loads(finished.stdout)
    assert (model["name"], model["author"], model["license"]) == ("zebra", "A. Name", "Apache-2.0")
    image = model["subgraph_metadata"][0]["input_tensor_metadata"][0]
    assert image["content"]["content_properties"] == {
        "color_space": "RGB",
        "default_size": {"width": 32, "height": 32},
    }
    assert image["process_units"][0]["options"] == {"mean": [128.0], "std": [127.5]}
