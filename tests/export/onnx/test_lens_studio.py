"""Lens Studio's target: shuffles as convolutions, limits held, what is not on Snap's list named, and the note."""

import numpy as np
import onnx
import pytest
from keras import layers

from compress.errors import UnsupportedLayer, UnusableModel, UsageError
from compress.images import to_float
from export.config import OnnxConfig, TfliteConfig
from export.onnx import lens_studio
from export.onnx.runner import OnnxGenerator
from export.onnx.stage import export_onnx
from export.source import load_source
from export.tflite.stage import export_tflite

TARGET = OnnxConfig(target="lens-studio")


def test_students_are_written_within_snaps_list(student, as_artifact, photos, tmp_path):
    source = as_artifact(student)
    artifact = export_onnx(source, TARGET, tmp_path / "out")
    model = onnx.load(artifact.model_path)
    assert {node.op_type for node in model.graph.node} <= lens_studio.LISTED | lens_studio.UNREAD
    assert artifact.manifest.input.range == (0.0, 255.0)
    made = OnnxGenerator(artifact.model_path.read_bytes(), "rgb255").translate(photos[0])
    np.testing.assert_allclose(made, load_source(source).translate(photos[0]), atol=1e-4)


def test_note_says_what_to_type_and_that_nobody_tried(small_artifact, tmp_path):
    export_onnx(small_artifact, TARGET, tmp_path / "bytes")
    export_onnx(small_artifact, OnnxConfig(target="lens-studio", io_type="float"), tmp_path / "float")
    as_bytes, as_float = ((tmp_path / name / "lens_studio.md").read_text() for name in ("bytes", "float"))
    for note in (as_bytes, as_float):
        assert "1 x 3 x 32 x 32" in note
        assert "Not tried in Lens Studio" in note
    assert "| scale, for each of the three channels | 1 | 1 |" in as_bytes
    assert "| bias, for each of the three channels | 0 | 0 |" in as_bytes
    assert "| scale, for each of the three channels | 0.00784313725 | 127.5 |" in as_float
    assert "| bias, for each of the three channels | -1 | 127.5 |" in as_float
    # What the dialog computes with the numbers that are typed into it is what the generator takes.
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(pixels * 0.00784313725 - 1, to_float(pixels), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (lambda: layers.ReLU(max_value=6), r"1 Clip \(use a student with ReLU"),
        (
            lambda: layers.Conv2D(8, 3, dilation_rate=(1, 2), padding="same"),
            "1 convolution with another dilation in height",
        ),
        (
            lambda: layers.Conv2DTranspose(8, (3, 2), padding="same"),
            "1 transposed convolution with another kernel in height",
        ),
        (
            lambda: layers.Conv2D(8, 3, dilation_rate=4, padding="same"),
            "1 convolution with more padding than its kernel",
        ),
    ],
)
def test_what_is_not_on_the_list_is_named_and_nothing_written(chain, as_artifact, tmp_path, layer, named):
    source = as_artifact(chain([layer(), layers.Conv2D(3, 1)], (32, 32, 3)))
    with pytest.raises(UnsupportedLayer, match=named):
        export_onnx(source, TARGET, tmp_path / "out")
    if "convolution" in named:
        with pytest.raises(UnsupportedLayer, match=named):
            export_tflite(source, TfliteConfig(target="lens-studio"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("settings", [{"precision": "fp16"}, {"opset": 13}])
def test_settings_that_snap_does_not_take_are_refused(small_artifact, tmp_path, settings):
    with pytest.raises(UsageError, match="lens-studio"):
        export_onnx(small_artifact, OnnxConfig(target="lens-studio", **settings), tmp_path / "out")


def test_too_large_a_model_is_refused(small_artifact, tmp_path, monkeypatch):
    monkeypatch.setattr("export.lens_studio.LENS_BYTES", 1000)
    with pytest.raises(UnusableModel, match="Snap takes models of 10 MB"):
        export_onnx(small_artifact, TARGET, tmp_path / "out")
