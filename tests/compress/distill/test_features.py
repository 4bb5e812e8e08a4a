"""Taps: found by resolution in any generator, and the same numbers that the generator itself computes."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.distill import features
from compress.distill.features import FrozenFeatures, Taps
from compress.errors import UnusableModel
from compress.models import pocket_generator
from compress.models.pocket_generator import Family, PocketConfig
from compress.training.precision import dtype_policy_scope

PHOTOS = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)


def _u_net() -> keras.Model:
    image = keras.Input((32, 32, 3))
    down = [layers.LeakyReLU()(layers.Conv2D(4, 4, strides=2, padding="same")(image))]
    for _ in range(4):
        down.append(layers.LeakyReLU()(layers.Conv2D(4, 4, strides=2, padding="same")(down[-1])))
    up = down.pop()
    for skip in reversed(down):
        up = layers.Concatenate()([layers.ReLU()(layers.Conv2DTranspose(4, 4, strides=2, padding="same")(up)), skip])
    return keras.Model(image, layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh")(up))


def _student(family: Family) -> keras.Model:
    return pocket_generator.build_student(PocketConfig(family=family, image_size_px=32, width=40, blocks=3))


def test_a_teacher_of_open_size_is_tapped_at_each_resolution_and_in_its_trunk(teacher: keras.Model) -> None:
    taps = features.find_taps(teacher, 32)
    assert list(taps.encoder) == [32, 16, 8]
    kinds = [type(teacher.get_layer(name)) for name in taps.encoder.values()]
    assert kinds == [layers.Activation] * 3 or kinds == [layers.ReLU] * 3
    sums = [layer.name for layer in teacher.layers if isinstance(layer, layers.Add)]
    # Of two blocks, the first is the middle one.
    assert taps.trunk == (sums[0], sums[1])
    # The encoder ends before the first block.
    order = [layer.name for layer in teacher.layers]
    assert order.index(taps.encoder[8]) < order.index(sums[0])
    assert list(features.find_taps(teacher, 64).encoder) == [64, 32, 16]


@pytest.mark.parametrize(
    ("generator", "heights", "blocks"),
    [
        # The bottom of the U-Net is one pixel, which is no image.
        (_u_net, [16, 8, 4, 2], 0),
        (lambda: _student("pixel_shuffle"), [16, 8], 2),
        (lambda: _student("separable"), [32, 16, 8], 2),
        (lambda: _student("unet"), [16, 8, 4], 2),
    ],
)
def test_other_generators_are_tapped_too(generator, heights: list[int], blocks: int) -> None:
    taps = features.find_taps(generator(), 32)
    assert list(taps.encoder) == heights
    assert len(taps.trunk) == blocks


def test_a_fused_activation_is_found() -> None:
    image = keras.Input((32, 32, 3))
    wide = layers.Conv2D(4, 3, padding="same", activation="relu", name="wide")(image)
    narrow = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="narrow")(wide)
    generator = keras.Model(image, layers.Conv2DTranspose(3, 3, strides=2, padding="same")(narrow))
    assert features.find_taps(generator, 32).encoder == {32: "wide", 16: "narrow"}


def test_a_generator_that_never_scales_down_is_refused_with_what_to_do() -> None:
    image = keras.Input((None, None, 3))
    flat = keras.Model(image, layers.Conv2D(3, 3, padding="same", activation="tanh")(image))
    with pytest.raises(UnusableModel, match=r"1 resolution.*\n.*feature_weight"):
        features.find_taps(flat, 32)


def test_a_student_of_one_resolution_is_tapped_where_it_is_only_compared() -> None:
    student = _student("space_to_depth")
    taps = features.find_taps(student, 32, fewest_resolutions=1)
    assert list(taps.encoder) == [8]
    # The sum with the image, at full resolution, is no block.
    assert [student.get_layer(name).output.shape[1:] for name in taps.trunk] == [(8, 8, 40)] * 2
    with pytest.raises(UnusableModel, match=r"1 resolution.*at least 2"):
        features.find_taps(student, 32)


def test_frozen_features_are_what_the_generator_computes(teacher: keras.Model) -> None:
    names = list(features.find_taps(teacher, 32).encoder.values())
    found = FrozenFeatures(teacher, names)(PHOTOS)
    assert [one.shape for one in found] == [(2, 32, 32, 8), (2, 16, 16, 16), (2, 8, 8, 32)]
    tensors: dict[str, keras.KerasTensor] = {}
    value = PHOTOS
    for layer in teacher.layers[1:]:
        value = tensors[layer.name] = layer(value)
        if layer.name == names[-1]:
            break
    for name, feature in zip(names, found, strict=True):
        np.testing.assert_allclose(np.asarray(feature), np.asarray(tensors[name]), atol=1e-5)


def test_frozen_features_follow_the_dtype_policy_and_leave_the_generator_alone(teacher: keras.Model) -> None:
    before = [np.asarray(value) for value in teacher.get_weights()]
    with dtype_policy_scope("mixed_bfloat16"):
        half = FrozenFeatures(teacher, list(features.find_taps(teacher, 32).encoder.values()))
    assert {keras.backend.standardize_dtype(one.dtype) for one in half(PHOTOS)} == {"bfloat16"}
    assert teacher.compute_dtype == "float32"
    assert all(variable.trainable for variable in teacher.trainable_variables)
    for one, same in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(same, one)


def test_student_and_teacher_are_paired_by_resolution_and_depth() -> None:
    student = Taps({16: "half", 8: "quarter"}, ("first", "second"))
    teacher = Taps({32: "a", 16: "b", 8: "c"}, ("middle", "last"))
    assert features.match_taps(student, teacher, "encoder") == (["half", "quarter"], ["b", "c"])
    assert features.match_taps(student, teacher, "trunk") == (
        ["half", "quarter", "first", "second"],
        ["b", "c", "middle", "last"],
    )
    with pytest.raises(UnusableModel, match="--hint-weight 0"):
        features.match_taps(Taps({5: "odd"}, ()), teacher, "encoder")
    with pytest.raises(UnusableModel, match=r"0 residual blocks of the student.*--hint-depth encoder"):
        features.match_taps(Taps({8: "quarter"}, ()), teacher, "trunk")
    with pytest.raises(UnusableModel, match=r"at a height of 4 pixels and 2 of its teacher at 8"):
        features.match_taps(Taps({8: "quarter", 4: "eighth"}, ("first", "second")), teacher, "trunk")
