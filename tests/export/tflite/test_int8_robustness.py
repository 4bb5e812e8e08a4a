"""An int8 export stands what it meets: flat images, one calibration photo, none, photos of another size."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from keras import layers

from compress.errors import UnusableData, UnusableModel
from compress.images import to_float, write_png
from export.calibration import observe
from export.config import TfliteConfig
from export.graph.lower import lower
from export.graph.operations import Weighted
from export.graph.quantized import quantize_graph
from export.interpreter import numpy_float, numpy_int8
from export.interpreter.litert import TfliteGenerator
from export.tflite import emitter
from export.tflite.delegation import delegate_coverage
from export.tflite.stage import export_tflite

FLAT = {"black": 0, "white": 255, "grey": 128, "nearly black": 1}


@pytest.fixture(scope="module")
def graph(small_student):
    return lower(small_student, input_shape=small_student.input_shape[1:])


@pytest.fixture(scope="module")
def quantized(graph, photos):
    return quantize_graph(graph, observe.observe_ranges(graph, photos))


def _flat(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


@pytest.mark.parametrize("io_type", ["float", "int8", "uint8"])
@pytest.mark.parametrize("name", FLAT)
def test_flat_image_comes_out_as_the_integers_say(quantized, name: str, io_type) -> None:
    photo = _flat(FLAT[name])
    generator = TfliteGenerator(emitter.int8_file(quantized, io_type))
    picture = generator.translate(photo)
    assert np.isfinite(picture).all()
    first, last = (quantized.tensors[tensor] for tensor in (quantized.graph.input, quantized.graph.output))
    exact = last.dequantize(numpy_int8.run_int8_graph(quantized, first.quantize(to_float(photo))[np.newaxis])[0])
    assert np.abs(picture - exact).max() <= 1.01 * 2 / 255


@pytest.mark.parametrize("name", FLAT)
def test_calibrating_on_one_flat_image_gives_that_image_its_picture(graph, name: str) -> None:
    """Every tensor of a flat image spans next to nothing: no scale may be zero, none infinite."""
    photo = _flat(FLAT[name])
    narrow = quantize_graph(graph, observe.observe_ranges(graph, [photo]))
    assert all(np.isfinite(scale.scale) and scale.scale > 0 for scale in narrow.tensors.values())
    picture = TfliteGenerator(emitter.int8_file(narrow, "float")).translate(photo)
    expected = numpy_float.run_graph(graph, to_float(photo)[np.newaxis])[0]
    assert np.isfinite(picture).all()
    assert np.sqrt(np.square(picture - expected).mean()) < 0.05


_LOADING = """
import sys
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
interpreter.invoke()
"""


@pytest.mark.parametrize("dead", ["convolution", "context"])
def test_what_lets_nothing_through_is_no_reason_to_end_the_process(chain, photos, dead: str, tmp_path) -> None:
    """XNNPACK frees twice where a scale of sums is 256 times its output's; a child of ours is what would end."""
    squeezed = layers.Conv2D(4, 1, activation="relu", name="dead")
    pooled = [layers.GlobalAveragePooling2D(keepdims=True)] if dead == "context" else []
    model = chain([layers.Conv2D(8, 3), *pooled, squeezed, layers.Conv2D(3, 1)], (32, 32, 3))
    # Below zero wherever the photo is: ReLU makes one number of it.
    kernel, bias = model.get_layer("dead").get_weights()
    model.get_layer("dead").set_weights([kernel, 0 * bias - 100])
    whole = lower(model, input_shape=(32, 32, 3))
    quantized = quantize_graph(whole, observe.observe_ranges(whole, photos))
    content = emitter.int8_file(quantized, "int8")
    (tmp_path / "dead.tflite").write_bytes(content)
    finished = subprocess.run([sys.executable, "-c", _LOADING, tmp_path / "dead.tflite"], check=False)
    assert finished.returncode == 0
    (silent,) = [one.output for one in whole.operations if isinstance(one, Weighted) and one.bias.max() < -50]
    assert quantized.tensors[silent].zero_point == -128
    assert delegate_coverage(content).complete


def test_living_tensors_keep_the_ranges_that_photos_gave_them(graph, photos) -> None:
    ranges = observe.observe_ranges(graph, photos)
    scales = quantize_graph(graph, ranges).tensors
    summed = [one for one in graph.operations if isinstance(one, Weighted) and one.activation == "relu"]
    assert summed
    for one in summed:
        assert scales[one.output].scale == pytest.approx(ranges[one.output][1] / 255, rel=1e-5)


def test_one_photo_is_enough_to_export(small_student, as_artifact, photos, tmp_path) -> None:
    (tmp_path / "one").mkdir()
    write_png(tmp_path / "one" / "photo.png", photos[0])
    config = TfliteConfig(precision="int8", data=tmp_path / "one")
    manifest = export_tflite(as_artifact(small_student), config, tmp_path / "out").manifest
    assert manifest.scores["parity"]["images"] == 1


def test_no_photo_is_refused_by_the_folders_name(small_student, as_artifact, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    config = TfliteConfig(precision="int8", data=tmp_path / "empty")
    with pytest.raises(UnusableData, match="empty holds no image"):
        export_tflite(as_artifact(small_student), config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ranges_of_no_image_are_refused(graph) -> None:
    with pytest.raises(UnusableData, match="no image to calibrate on"):
        observe.observe_ranges(graph, [])


def test_photos_of_another_size_are_cropped_and_resized(small_student, as_artifact, tmp_path) -> None:
    (tmp_path / "odd").mkdir()
    for name, shape in (("wide", (40, 90, 3)), ("small", (8, 8, 3)), ("exact", (32, 32, 3))):
        values = np.random.default_rng(len(name)).integers(0, 256, shape).astype(np.uint8)
        write_png(tmp_path / "odd" / f"{name}.png", values)
    sampled = observe.sample_photos(tmp_path / "odd", domain="A", count=3, size=(32, 32), seed=0)
    assert [photo.shape for photo in sampled] == [(32, 32, 3)] * 3
    config = TfliteConfig(precision="int8", data=tmp_path / "odd")
    assert export_tflite(as_artifact(small_student), config, tmp_path / "out").manifest.scores["parity"]["images"] == 3


def test_a_net_that_gives_nan_is_refused_by_name(graph, photos) -> None:
    first, *others = graph.operations
    kernel = first.kernel.copy()
    kernel[0, 0, 0, 0] = np.nan
    torn = replace(graph, operations=(replace(first, kernel=kernel), *others))
    with pytest.raises(UnusableModel, match=rf"layer {first.output} is not finite"):
        quantize_graph(torn, observe.observe_ranges(torn, photos[:1]))
