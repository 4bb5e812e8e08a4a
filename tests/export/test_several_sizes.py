"""One `.tflite` file for several sizes: a signature for each, the weights once, and every one of them checked."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image

from compress import console
from compress.artifact import open_artifact
from compress.errors import ParityError, UnusableModel
from compress.images import to_float
from compress.models.layers import ReflectionPadding2D
from export import parity
from export.calibration.observe import observe_ranges
from export.cli import app
from export.config import IoType, TfliteConfig
from export.graph.border_pad import expand_border_pads
from export.graph.lower import lower
from export.graph.quantized import quantize_graph, quantize_like, quantize_with_scales
from export.interpreter import numpy_int8
from export.interpreter.litert import TfliteGenerator
from export.source import SourceGenerator
from export.tflite import emitter, stage
from export.tflite.delegation import delegate_coverage
from export.tflite.operators import FloatWeights

OTHER = 48


@pytest.fixture(scope="module")
def at_other_size(small_student, source_of) -> SourceGenerator:
    return source_of(small_student).at_size((OTHER, OTHER))


@pytest.fixture(scope="module")
def graphs(small_student, at_other_size):
    usual = lower(small_student, input_shape=small_student.input_shape[1:])
    return usual, lower(at_other_size.model, input_shape=(OTHER, OTHER, 3))


@pytest.fixture(scope="module")
def larger_photos() -> list[np.ndarray]:
    return parity.synthetic_photos((OTHER, OTHER), count=2, seed=2)


@pytest.fixture(scope="module")
def written(small_artifact, photo_folder, tmp_path_factory) -> Path:
    """An int8 file of three sizes, by the command."""
    out = tmp_path_factory.mktemp("several") / "out"
    flags = ["--precision", "int8", "--io-type", "uint8", "--calibration-images", "3", "--data", str(photo_folder)]
    sizes = ["--other-sizes-px", str(OTHER), "--other-sizes-px", "64"]
    assert console.run(app, ["tflite", str(small_artifact), "--out", str(out), *flags, *sizes]) == 0
    return out


@pytest.mark.parametrize(("weights", "least_db"), [("fp32", 90), ("fp16", 40), ("dynamic", 30)])
def test_each_signature_is_the_generator_at_its_size(
    graphs, small_student, at_other_size, photos, larger_photos, weights: FloatWeights, least_db: float
):
    usual, other = graphs
    content = emitter.float_file(usual, weights, others=[other])
    for model, sized_photos in ((small_student, photos[:2]), (at_other_size.model, larger_photos)):
        expected = list(np.asarray(model(to_float(np.stack(sized_photos)))))
        assert (
            parity.measure_parity(TfliteGenerator(content), sized_photos, expected, material="photos").psnr_db
            > least_db
        )


@pytest.mark.parametrize(("io_type", "in_float"), [("float", 0), ("int8", 0), ("uint8", 0), ("uint8", 3)])
def test_int8_has_the_same_integers_at_every_size(graphs, photos, larger_photos, io_type: IoType, in_float: int):
    usual, other = graphs
    float_ops = [operation.output for operation in usual.operations[:in_float]]
    quantized = quantize_with_scales(usual, quantize_graph(usual, observe_ranges(usual, photos)).tensors, float_ops)
    larger = quantize_like(other, quantized)
    assert larger.float_ops == quantized.float_ops
    content = emitter.int8_file(quantized, io_type, others=[larger])
    expected = [
        quantized.tensors["generated"].dequantize(
            numpy_int8.run_int8_graph(larger, larger.tensors["image"].quantize(to_float(photo))[np.newaxis])[0]
        )
        for photo in larger_photos
    ]
    checked = parity.measure_parity(
        TfliteGenerator(content), larger_photos, expected, material="photos", quantized=larger
    )
    assert checked.share_within_a_step is not None
    assert checked.share_within_a_step > 0.999
    # A float output differs from the integers that it stands for by up to half a step; uint8 also rounds.
    assert checked.psnr_db > 45


def test_weights_are_stored_once_and_shared(graphs):
    usual, other = graphs
    single, several = emitter.float_file(usual), emitter.float_file(usual, others=[other])
    model = schema.ModelT.InitFromPackedBuf(several)
    kernels = [
        {tensor.buffer for tensor in graph.tensors if tensor.name.endswith(b"/kernel")} for graph in model.subgraphs
    ]
    assert kernels[0]
    assert kernels[0] == kernels[1]
    # What a size adds is its own tensors and operators.
    graph_bytes = len(single) - 4 * usual.params
    assert len(several) < len(single) + 1.2 * graph_bytes


def test_every_size_is_one_partition(graphs):
    assert all(delegate_coverage(emitter.float_file(graph)).complete for graph in graphs)


def test_reflections_have_their_scales_at_every_size(chain):
    model = chain([ReflectionPadding2D(((5, 2), (1, 6))), layers.Conv2D(3, 3, activation="tanh")], (None, None, 3))
    usual, other = (expand_border_pads(lower(model, input_shape=(side, side, 3))) for side in (16, 24))
    photos = parity.synthetic_photos((16, 16), count=2, seed=3)
    quantized = quantize_graph(usual, observe_ranges(usual, photos))
    larger = quantize_like(other, quantized)
    assert other.shapes.keys() - usual.shapes.keys(), "the reflections are cut alike; the test needs others"
    assert larger.tensors.keys() == other.shapes.keys()
    moved = {larger.tensors[name] for name in other.shapes if "/" in name}
    assert moved == {quantized.tensors["image"]}
    photo = parity.synthetic_photos((24, 24), count=1, seed=4)
    expected = [np.asarray(model(to_float(photo[0])[np.newaxis]))[0]]
    content = emitter.int8_file(quantized, "float", others=[larger])
    checked = parity.measure_parity(TfliteGenerator(content), photo, expected, material="photos", quantized=larger)
    assert checked.share_within_a_step is not None
    assert checked.share_within_a_step > 0.999


def test_artifact_tells_of_every_size(written: Path):
    manifest = open_artifact(written).manifest
    assert manifest.input.shape == (32, 32, 3)
    assert manifest.config["other_sizes_px"] == [OTHER, 64]
    assert list(manifest.scores["parity_at"]) == [f"{OTHER}x{OTHER}", "64x64"]
    for checked in manifest.scores["parity_at"].values():
        assert checked["psnr_db"] > 30
        assert checked["share_within_a_step"] > 0.999


def test_signatures_are_named_by_size_and_the_usual_one_needs_no_name(written: Path):
    interpreter = Interpreter(model_path=str(written / "model.tflite"))
    assert set(interpreter.get_signature_list()) == {"serving_default", "translate_48x48", "translate_64x64"}
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 32, 32, 3]
    picture = interpreter.get_signature_runner("translate_48x48")(image=np.zeros((1, 48, 48, 3), np.uint8))
    assert picture["generated"].shape == (1, 48, 48, 3)


def test_generator_runs_each_of_its_sizes_and_no_other(written: Path, larger_photos):
    path = written / "model.tflite"
    generator = TfliteGenerator.open(path)
    assert (generator.size, set(generator.sizes)) == ((32, 32), {(32, 32), (OTHER, OTHER), (64, 64)})
    larger = TfliteGenerator.open(path).at_size((OTHER, OTHER))
    assert larger.size == (OTHER, OTHER)
    assert larger.translate(larger_photos[0]).shape == (OTHER, OTHER, 3)
    with pytest.raises(UnusableModel, match=r"not of \(40, 40\)"):
        TfliteGenerator.open(path).at_size((40, 40))


def test_translate_takes_the_usual_size_or_the_one_that_is_asked_for(written: Path, photo_folder, tmp_path, capsys):
    from export import cli

    assert cli.translate(written, photo_folder, out=tmp_path / "usual") is None
    asked = cli.TranslateConfig(image_size_px=OTHER)
    cli.translate(written, photo_folder, out=tmp_path / "asked", config=asked)
    for name, side in (("usual", 32), ("asked", OTHER)):
        with Image.open(tmp_path / name / "photo0.png") as picture:
            assert picture.size == (side, side)
    capsys.readouterr()


def test_inspect_names_the_signatures(written: Path, command):
    finished = command("inspect", written / "model.tflite", "--json")
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout)
    assert report["input"]["shape"] == [32, 32, 3]
    assert report["other_signatures"] == {"translate_48x48": [48, 48, 3], "translate_64x64": [64, 64, 3]}
    assert report["fallbacks"] == []


def test_the_size_that_misses_the_bound_is_named(small_artifact, tmp_path, monkeypatch):
    lower_at = stage.sizes._lower_at

    def spoilt(*arguments):
        other = lower_at(*arguments)
        return replace(other, expected=[-picture for picture in other.expected])

    monkeypatch.setattr(stage.sizes, "_lower_at", spoilt)
    with pytest.raises(ParityError, match="the fp32 file at 48x48 is"):
        stage.export_tflite(small_artifact, TfliteConfig(other_sizes_px=(OTHER,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
