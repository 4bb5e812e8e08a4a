"""A student from a teacher: the same kernels, and the same images where nothing that was replaced matters."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.distill.start.from_teacher import replace_norms
from compress.models import mobile_resnet_generator
from compress.models.layers import ContribInstanceNormalization, InstanceNormalization, ReflectionPadding2D
from compress.models.mobile_resnet_generator import MobileResnetConfig

SIZE = (32, 32)
SHAPE = MobileResnetConfig(down=(4, 8, 16), inner=(8, 8), up=(8, 4), padding="zero")
PHOTO = np.random.default_rng(0).uniform(-1, 1, (1, *SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def generator() -> keras.Model:
    """Return a generator with InstanceNorm that takes any image size."""
    keras.utils.set_random_seed(0)
    return mobile_resnet_generator.build_mobile_resnet(SHAPE)


def test_with_an_images_own_statistics_the_student_returns_what_its_teacher_does(generator: keras.Model) -> None:
    # In training BatchNorm takes the batch's statistics, which for one image are InstanceNorm's.
    same = replace_norms(generator, SIZE)
    np.testing.assert_allclose(same(PHOTO, training=True), generator(PHOTO), atol=1e-4)
    assert same.input_shape == (None, *SIZE, 3)


def test_nothing_is_left_that_int8_kernels_do_not_run() -> None:
    mirrored = mobile_resnet_generator.build_mobile_resnet(MobileResnetConfig(down=(4, 8, 16), inner=(8,), up=(8, 4)))
    kinds = {type(layer) for layer in replace_norms(mirrored, SIZE).layers}
    assert not kinds & {InstanceNormalization, ReflectionPadding2D}
    assert {layers.BatchNormalization, layers.ZeroPadding2D} <= kinds


@pytest.mark.parametrize("norm", [InstanceNormalization, ContribInstanceNormalization])
def test_gains_and_offsets_come_along(norm: type[InstanceNormalization]) -> None:
    image = keras.Input((None, None, 3))
    generator = keras.Model(image, norm(name="norm")(layers.Conv2D(3, 1)(image)))
    shape = generator.get_layer("norm").gamma.shape  # pyright: ignore[reportAttributeAccessIssue]
    generator.get_layer("norm").set_weights([np.full(shape, 2.0), np.full(shape, 0.5)])
    norms = replace_norms(generator, SIZE).get_layer("norm")
    np.testing.assert_array_equal(norms.gamma, np.full(3, 2.0))
    np.testing.assert_array_equal(norms.beta, np.full(3, 0.5))


def test_the_student_computes_in_the_dtype_policy_of_the_moment(generator: keras.Model) -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = replace_norms(generator, SIZE)
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in half.layers if isinstance(layer, layers.Conv2D)} == {"bfloat16"}
