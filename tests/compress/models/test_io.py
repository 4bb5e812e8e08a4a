"""A model of any image size fixed to one."""

import numpy as np

from compress.models import mobile_resnet_generator
from compress.models.io import with_size
from compress.models.mobile_resnet_generator import MobileResnetConfig


def test_a_sized_model_takes_one_size_and_draws_the_same_picture() -> None:
    free = mobile_resnet_generator.build_mobile_resnet(MobileResnetConfig(down=(4, 4, 8), inner=(8,), up=(4, 4)))
    fixed = with_size(free, (16, 24))
    assert (free.input_shape, fixed.input_shape) == ((None, None, None, 3), (None, 16, 24, 3))
    photo = np.random.default_rng(0).uniform(-1, 1, (1, 16, 24, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(fixed(photo)), np.asarray(free(photo)))
