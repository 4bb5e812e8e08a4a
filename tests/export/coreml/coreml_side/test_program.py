"""A package that was saved and read back does what Keras does."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnsupportedLayer
from compress.images import psnr_db, to_float
from compress.models.layers import (
    ContribInstanceNormalization,
    DepthToSpace,
    InstanceNormalization,
    ReflectionPadding2D,
    SpaceToDepth,
)
from export.calibration import observe
from export.coreml import overflow
from export.graph.lower import lower
from export.graph.operations import Operation
from export.graph.quantized import quantize_graph, quantize_with_scales
from export.interpreter import numpy_int8

SHAPE = (16, 12, 3)
# Several layers a model: what costs time is a package, not a layer.
CHAINS = {
    "convolutions": lambda: [
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Conv2D(8, 4, strides=2, padding="same", activation="relu6"),
        layers.Conv2D(8, 3, dilation_rate=2),
        layers.DepthwiseConv2D(3, strides=2, padding="same"),
        layers.DepthwiseConv2D(2, depth_multiplier=2, padding="same"),
    ],
    "transposed convolutions": lambda: [
        layers.Conv2DTranspose(8, 3, strides=2, padding="same", output_padding=1),
        layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu"),
        layers.Conv2DTranspose(8, 3, strides=2, padding="valid", output_padding=1),
        layers.Conv2DTranspose(8, 2, strides=3, padding="same"),
        layers.Conv2DTranspose(8, 3, strides=2, padding="valid"),
    ],
    "norms": lambda: [
        InstanceNormalization(),
        layers.Conv2D(4, 1),
        ContribInstanceNormalization(),
        layers.Conv2D(4, 1),
        ContribInstanceNormalization(per_channel=False),
        layers.BatchNormalization(),
    ],
    "functions": lambda: [
        layers.ReLU(negative_slope=0.2),
        layers.Activation("sigmoid"),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.MaxPooling2D(2, strides=1),
        layers.ReLU(max_value=6),
        layers.MaxPooling2D(2, strides=1, padding="same"),
        layers.ReLU(),
    ],
    "moves": lambda: [
        ReflectionPadding2D(((3, 1), (0, 2))),
        layers.ZeroPadding2D(((1, 2), (0, 3))),
        layers.Cropping2D(((1, 0), (2, 1))),
        layers.UpSampling2D((3, 2), interpolation="bilinear"),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.UpSampling2D((2, 4), interpolation="nearest"),
        SpaceToDepth(2),
        layers.Conv2D(16, 1),
        DepthToSpace(2),
        layers.MaxPooling2D(3, strides=2, padding="same"),
    ],
}


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (2, *SHAPE), dtype=np.uint8))


def _squashed(middle: list[keras.layers.Layer]) -> list[keras.layers.Layer]:
    return [layers.Conv2D(4, 1), *middle, layers.Conv2D(3, 1), layers.Activation("tanh")]


@pytest.mark.parametrize("name", CHAINS)
def test_each_layer_equals_keras(chain, saved, psnr_to_keras, pictures, name: str):
    model = chain(_squashed(CHAINS[name]()), SHAPE)
    graph = lower(model, input_shape=SHAPE)
    assert psnr_to_keras(saved(graph), model, pictures) > 120
    # Less than a byte's step in every pixel, which is 48 dB.
    assert psnr_to_keras(saved(graph, "fp16"), model, pictures) > 50


def test_merges_equal_keras(randomise, saved, psnr_to_keras, pictures):
    image = keras.Input(SHAPE)
    first, second = layers.Conv2D(8, 3, padding="same")(image), layers.Conv2D(8, 1)(image)
    gain = layers.GlobalAveragePooling2D(keepdims=True)(second)
    merged = layers.ReLU()(layers.Add()([first, layers.Multiply()([second, gain])]))
    joined = layers.Conv2D(3, 1, activation="tanh")(layers.Concatenate()([merged, first]))
    model = randomise(keras.Model(image, joined))
    assert psnr_to_keras(saved(lower(model, input_shape=SHAPE)), model, pictures) > 120


# Measured, the worse of both families: 140, 72, 57, 54, 45 dB.
@pytest.mark.parametrize(
    ("precision", "least_db"), [("fp32", 120), ("fp16", 60), ("int8_weights", 40), ("palette8", 40), ("palette6", 30)]
)
def test_student_keeps_its_pictures(student, saved, psnr_to_keras, photos, precision: str, least_db: float):
    graph = lower(student, input_shape=student.input_shape[1:])
    assert psnr_to_keras(saved(graph, precision), student, photos[:2]) > least_db


def test_int8_is_as_good_as_the_integers_of_the_tflite_file(student, saved, psnr_to_keras, photos):
    graph = lower(student, input_shape=student.input_shape[1:])
    quantized = quantize_graph(graph, observe.observe_ranges(graph, photos))
    found = psnr_to_keras(saved(graph, "int8", quantized=quantized), student, photos)
    exact = [
        numpy_int8.run_int8_graph(quantized, quantized.tensors["image"].quantize(to_float(photo))[np.newaxis])
        for photo in photos
    ]
    made = quantized.tensors["generated"].dequantize(np.concatenate(exact))
    wanted = np.asarray(student(to_float(np.stack(photos))))
    assert abs(found - psnr_db(made - wanted)) < 1


def test_what_int8_keeps_in_float_is_not_rounded(small_student, saved, psnr_to_keras, photos):
    graph = lower(small_student, input_shape=small_student.input_shape[1:])
    whole = quantize_graph(graph, observe.observe_ranges(graph, photos))
    float_ops = [operation.output for operation in graph.operations[-5:]]
    mixed = quantize_with_scales(graph, whole.tensors, float_ops)
    files = [saved(each.graph, "int8", quantized=each) for each in (whole, mixed)]
    lost, found = (psnr_to_keras(file, small_student, photos) for file in files)
    exact = [
        numpy_int8.run_int8_graph(mixed, mixed.tensors["image"].quantize(to_float(photo))[np.newaxis])
        for photo in photos
    ]
    made = mixed.tensors["generated"].dequantize(np.concatenate(exact))
    assert abs(found - psnr_db(made - np.asarray(small_student(to_float(np.stack(photos)))))) < 1
    assert found > lost + 1
    assert files[1].operations["quantize"] < files[0].operations["quantize"]
    in_int8 = files[1].operations["constexpr_affine_dequantize"]
    assert in_int8 == len(mixed.weights) < files[0].operations["constexpr_affine_dequantize"] == len(whole.weights)


def test_weights_take_the_bytes_that_their_bits_promise(chain, tmp_path):
    from export.coreml import package, program

    graph = lower(chain([layers.Conv2D(64, 3), layers.Conv2D(64, 3), layers.Conv2D(3, 1)]), input_shape=(9, 12, 3))
    large = 64 * 64 * 9
    sizes = {}
    for precision in ("fp16", "int8_weights", "palette8", "palette6"):
        package.write_package(program.build_program(graph, precision), {}, tmp_path / f"{precision}.mlpackage")
        (weights,) = (tmp_path / f"{precision}.mlpackage").rglob("weight.bin")
        sizes[precision] = weights.stat().st_size
    saved_bytes = {name: sizes["fp16"] - size for name, size in sizes.items()}
    # The tables: a scale a channel, or 256 or 64 entries, each two bytes; and 64 bytes of header and alignment a piece.
    assert saved_bytes["int8_weights"] == pytest.approx(large - 64 * 2, abs=256)
    assert saved_bytes["palette8"] == pytest.approx(large - 256 * 2, abs=256)
    assert saved_bytes["palette6"] == pytest.approx(large * 10 / 8 - 64 * 2, abs=256)


def _passing_on(size: tuple[int, int]) -> keras.Model:
    """A model that returns its input, so that a package shows what its own input and output do."""
    image = keras.Input((*size, 3))
    model = keras.Model(image, layers.Conv2D(3, 1, use_bias=False)(image))
    model.layers[-1].kernel.assign(np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3))
    return model


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8_weights", "palette6"])
def test_red_stays_red_and_top_left_stays_there(saved, precision: str):
    generator = saved(lower(_passing_on((8, 12)), input_shape=(8, 12, 3)), precision)
    photo = np.zeros((8, 12, 3), np.uint8)
    photo[:4, :6] = (255, 0, 0)
    photo[:4, 6:] = (0, 200, 0)
    photo[4:, :6] = (0, 0, 100)
    photo[4:, 6:] = (255, 255, 255)
    assert generator.size == (8, 12)
    np.testing.assert_array_equal(np.rint(generator.run(photo)).astype(int), photo)


def test_every_byte_comes_back_as_it_went_in(saved):
    generator = saved(lower(_passing_on((16, 16)), input_shape=(16, 16, 3)), "fp16")
    photo = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    # Also where a runtime cuts fractions off instead of rounding, no byte may move by more than one.
    assert np.abs(generator.run(photo) - photo).max() < 0.2


def test_picture_without_tanh_is_kept_within_what_a_byte_holds(saved):
    model = _passing_on((4, 4))
    model.layers[-1].kernel.assign(np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3) * 3)
    generator = saved(lower(model, input_shape=(4, 4, 3)), "fp16")
    assert generator.run(np.full((4, 4, 3), 255, np.uint8)).max() == 255
    assert generator.run(np.zeros((4, 4, 3), np.uint8)).min() == 0


def test_operation_near_the_end_of_float16_stays_in_float32(chain, saved, psnr_to_keras, pictures):
    model = chain(_squashed([layers.Conv2D(8, 3, name="loud"), layers.Conv2D(8, 1), InstanceNormalization()]), SHAPE)
    loud = model.get_layer("loud")
    loud.kernel.assign(loud.kernel * 1e5)
    graph = lower(model, input_shape=SHAPE)
    in_float32 = overflow.find_overflows(overflow.measure_activations(graph, pictures))
    assert in_float32 == {"loud", graph.operations[2].output}
    lost = psnr_to_keras(saved(graph, "fp16"), model, pictures)
    mixed = saved(graph, "fp16", in_float32=in_float32)
    assert not lost > 20
    assert psnr_to_keras(mixed, model, pictures) > 60
    # Into float32 and out of it, besides the program's own input and output.
    assert mixed.operations["cast"] == 4


def test_operation_without_a_form_is_named(chain, saved):
    class Odd(Operation):
        pass

    graph = lower(chain([layers.Conv2D(3, 1)]), input_shape=(9, 12, 3))
    odd = Odd(inputs=graph.operations[-1].inputs, output="generated", shape=(9, 12, 3))
    with pytest.raises(UnsupportedLayer, match=r"generated \(Odd\)"):
        saved(replace(graph, operations=(*graph.operations[:-1], odd)))


def test_names_of_layers_may_be_anything(randomise, saved, psnr_to_keras, pictures):
    image = keras.Input(SHAPE)
    one, other = layers.Conv2D(3, 1, name="1.a")(image), layers.Conv2D(3, 1, name="1_a")(image)
    model = randomise(keras.Model(image, layers.Activation("tanh", name="image-é")(layers.Add()([one, other]))))
    assert psnr_to_keras(saved(lower(model, input_shape=SHAPE)), model, pictures) > 120
