"""A file for a target: the pixels of the `cpu` file, and nothing that is not taken there; else the way out is named."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

from compress.errors import UnsupportedLayer, UsageError
from compress.images import read_image
from compress.models.layers import ReflectionPadding2D
from export.config import Target, TfliteConfig, TranslateConfig
from export.delegates.operators import read_operators
from export.delegates.table import find_delegate
from export.interpreter.litert import TfliteGenerator
from export.tflite.stage import export_tflite
from export.tflite.targets import RULES
from export.translate import translate

DELEGATED: tuple[Target, ...] = ("gpu", "npu-mediatek", "npu-qualcomm", "npu-google")


@pytest.fixture
def int8(photo_folder) -> TfliteConfig:
    return TfliteConfig(precision="int8", data=photo_folder, calibration_images=4)


def codes_of(content: bytes) -> list[str]:
    return [operator.code for operator in read_operators(schema.ModelT.InitFromPackedBuf(content))]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_pixels_of_every_target_are_those_of_the_cpu_file(student, as_artifact, int8, photos, tmp_path, precision):
    source = as_artifact(student)
    settings = int8 if precision == "int8" else TfliteConfig()
    usual = TfliteGenerator(export_tflite(source, settings, tmp_path / "cpu").model_path.read_bytes())
    of_floats: tuple[Target, ...] = ("lens-studio",) if precision == "fp32" else ()
    for target in (*DELEGATED, "mediapipe", *of_floats):
        exported = export_tflite(source, replace(settings, target=target), tmp_path / target)
        content = exported.model_path.read_bytes()
        name = RULES[target].delegate
        operators = list(read_operators(schema.ModelT.InitFromPackedBuf(content)))
        if name is not None:
            assert [one.refusal(find_delegate(name)) for one in operators] == [None] * len(operators)
        generator = TfliteGenerator(content)
        for photo in photos:
            apart = np.abs(generator.translate(photo) - usual.translate(photo)).max()
            # A transposed convolution's kernel adds zeros in another order; two roundings at MediaPipe's end.
            assert apart <= (2e-6 if precision == "fp32" else 2e-7)


def test_bytes_for_mediapipe_stand_for_0_to_1(small_artifact, int8, photos, tmp_path):
    pictures = []
    for target in ("cpu", "mediapipe"):
        settings = replace(int8, io_type="uint8", target=target)
        pictures.append(
            TfliteGenerator(export_tflite(small_artifact, settings, tmp_path / target).model_path.read_bytes())
        )
    output = pictures[1].output
    assert (output.dtype, output.zero_point) == ("uint8", 0)
    assert output.scale == pytest.approx(1 / 255)
    for photo in photos:
        apart = pictures[1].run(photo).astype(int) - pictures[0].run(photo)
        assert np.abs(apart).max() <= 1


@pytest.mark.parametrize("target", ["npu-mediatek", "npu-qualcomm"])
def test_bytes_reach_an_npu_without_float_arithmetic(small_artifact, int8, photos, tmp_path, target: Target):
    as_bytes = export_tflite(small_artifact, replace(int8, io_type="uint8", target=target), tmp_path / "uint8")
    as_integers = export_tflite(small_artifact, replace(int8, io_type="int8", target=target), tmp_path / "int8")
    content = as_bytes.model_path.read_bytes()
    operators = list(read_operators(schema.ModelT.InitFromPackedBuf(content)))
    assert {operator.dtype for operator in operators} == {"int8", "uint8"}
    made = TfliteGenerator(content).run(photos[0])
    inside = TfliteGenerator(as_integers.model_path.read_bytes())
    details = inside.interpreter.get_input_details()[0]["index"], inside.interpreter.get_output_details()[0]["index"]
    inside.interpreter.set_tensor(details[0], (photos[0].astype(np.int16) - 128).astype(np.int8)[np.newaxis])
    inside.interpreter.invoke()
    np.testing.assert_array_equal(made, inside.interpreter.get_tensor(details[1])[0].astype(np.int16) + 128)
    assert as_bytes.manifest.scores["parity"]["share_within_a_step"] >= 0.999


def test_mediatek_has_no_shuffles_and_little_more_bytes(small_artifact, int8, tmp_path):
    usual = export_tflite(small_artifact, int8, tmp_path / "cpu").model_path.read_bytes()
    written = export_tflite(small_artifact, replace(int8, target="npu-mediatek"), tmp_path / "npu").model_path
    shuffles = {"DEPTH_TO_SPACE", "SPACE_TO_DEPTH"}
    assert shuffles & set(codes_of(usual))
    assert not shuffles & set(codes_of(written.read_bytes()))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_gpu_takes_a_transposed_convolution_with_a_relu(chain, as_artifact, int8, photos, tmp_path, precision):
    """TRANSPOSE_CONV fuses its ReLU in version 4, and the GPU takes up to 3."""
    source = as_artifact(
        chain(
            [
                layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
                layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
                layers.Conv2D(3, 1, activation="tanh"),
            ],
            (32, 32, 3),
        )
    )
    settings = int8 if precision == "int8" else TfliteConfig()
    exported = {
        target: TfliteGenerator(
            export_tflite(source, replace(settings, target=target), tmp_path / target).model_path.read_bytes()
        )
        for target in ("cpu", "gpu")
    }
    for photo in photos:
        np.testing.assert_array_equal(exported["gpu"].run(photo), exported["cpu"].run(photo))


def test_what_a_target_does_not_take_is_named_with_the_way_out(chain, as_artifact, tmp_path):
    source = as_artifact(
        chain([layers.Conv2D(8, 3), layers.ReLU(max_value=6), layers.Conv2DTranspose(3, 3)], (32, 32, 3))
    )
    export_tflite(source, TfliteConfig(target="npu-mediatek"), tmp_path / "fused")
    alone = as_artifact(
        chain([layers.ReLU(max_value=6), ReflectionPadding2D(((1, 1), (1, 1))), layers.Conv2D(3, 3)], (32, 32, 3)),
        "alone",
    )
    with pytest.raises(UnsupportedLayer, match=r"1 RELU6: its sources do not list RELU6 \(distil into a student"):
        export_tflite(alone, TfliteConfig(target="npu-mediatek"), tmp_path / "out")
    with pytest.raises(UnsupportedLayer, match=r"DEQUANTIZE up to version 3, and this is version 5"):
        export_tflite(source, TfliteConfig(target="gpu", precision="dynamic"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"target": "mediapipe", "other_sizes_px": (64,)}, "usual size alone"),
        ({"target": "lens-studio", "other_sizes_px": (64,)}, "usual size alone"),
        ({"target": "mediapipe", "precision": "int8", "io_type": "int8", "data": "photos"}, "uint8 or float"),
        ({"target": "lens-studio", "precision": "fp16"}, "--precision fp32"),
    ],
)
def test_flags_that_a_target_cannot_take_are_refused(settings, expected):
    with pytest.raises(UsageError, match=expected):
        TfliteConfig(**settings)


def test_other_sizes_are_rewritten_too(small_artifact, int8, tmp_path, chain, as_artifact):
    free = as_artifact(
        keras.models.clone_model(
            chain(
                [layers.Conv2D(16, 3, strides=2, padding="same"), layers.Conv2DTranspose(3, 2, strides=2)],
                (None, None, 3),
            )
        ),
        "free",
    )
    config = replace(int8, target="npu-mediatek", image_size_px=32, other_sizes_px=(64,))
    generator = TfliteGenerator(export_tflite(free, config, tmp_path / "out").model_path.read_bytes())
    assert generator.sizes == ((32, 32), (64, 64))


def test_mediapipes_picture_in_0_to_1_translates_as_any_other(small_artifact, photo_folder, tmp_path):
    for target in ("cpu", "mediapipe"):
        artifact = export_tflite(small_artifact, TfliteConfig(target=target), tmp_path / target)
        translate(artifact.path, photo_folder, tmp_path / f"{target}_pictures", TranslateConfig())
    for path in (tmp_path / "cpu_pictures").glob("*.png"):
        other = read_image(tmp_path / "mediapipe_pictures" / path.name)
        np.testing.assert_allclose(other.astype(int), read_image(path), atol=1)


def test_lens_studio_gets_a_note_and_snaps_layers_alone(small_artifact, chain, as_artifact, tmp_path):
    artifact = export_tflite(small_artifact, TfliteConfig(target="lens-studio"), tmp_path / "out")
    assert not {"DEPTH_TO_SPACE", "SPACE_TO_DEPTH"} & set(codes_of(artifact.model_path.read_bytes()))
    note = (artifact.path / "lens_studio.md").read_text()
    assert "| shape (batch, height, width, channels) | 1 x 32 x 32 x 3 | 1 x 32 x 32 x 3 |" in note
    assert "| scale, for each of the three channels | 0.00784313725 | 127.5 |" in note
    alone = as_artifact(chain([layers.ReLU(max_value=6), layers.Conv2D(3, 1)], (32, 32, 3)), "alone")
    with pytest.raises(UnsupportedLayer, match=r"1 RELU6: Snap's list of layers does not have RELU6"):
        export_tflite(alone, TfliteConfig(target="lens-studio"), tmp_path / "refused")


def test_mediapipes_file_gets_no_sample_app(small_artifact, tmp_path):
    with pytest.raises(UsageError, match="Leave --app out"):
        export_tflite(small_artifact, TfliteConfig(target="mediapipe"), tmp_path / "out", app=tmp_path / "app")
