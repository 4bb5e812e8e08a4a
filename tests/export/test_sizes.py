"""A generator at other sizes than it was stored for: the same weights, and only sizes that fit."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UnsupportedLayer, UsageError
from compress.models.layers import ReflectionPadding2D
from export import sizes
from export.config import CoremlConfig
from export.graph.lower import lower
from export.source import SourceGenerator


def pictures_at(source: SourceGenerator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A random photo, and what a resized generator makes of it."""
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return photo, source.at_size((side, side)).translate(photo)


def test_every_student_runs_at_twice_its_size(student, source_of):
    photo, picture = pictures_at(source_of(student), 64)
    assert picture.shape == photo.shape
    assert 0.1 < np.abs(picture).max() <= 1


def test_a_resized_generator_equals_one_of_any_size(chain, source_of):
    def middle():
        return [ReflectionPadding2D(((1, 1), (1, 1))), layers.Conv2D(4, 3, strides=2), layers.Conv2DTranspose(3, 2, 2)]

    free, fixed = chain(middle(), (None, None, 3)), chain(middle(), (16, 16, 3))
    fixed.set_weights(free.get_weights())
    photo, picture = pictures_at(source_of(fixed), 24)
    np.testing.assert_allclose(picture, source_of(free).translate(photo), atol=1e-6)


def test_models_within_models_are_resized(chain, source_of):
    inner = chain([layers.Conv2D(3, 3, padding="same")], (16, 16, 3))
    image = keras.Input((16, 16, 3))
    nested = keras.Model(image, layers.ReLU()(inner(image)))
    in_a_row = keras.Sequential([keras.Input((16, 16, 3)), inner, layers.ReLU()])
    for model in (nested, in_a_row):
        photo, picture = pictures_at(source_of(model), 24)
        np.testing.assert_allclose(
            picture, np.maximum(source_of(inner).at_size((24, 24)).translate(photo), 0), atol=1e-6
        )


@pytest.mark.parametrize("side", [33, 34])
def test_size_that_does_not_fit_is_refused(side: int, chain, source_of):
    model = chain([layers.Conv2D(4, 3, strides=4, padding="same"), layers.Conv2DTranspose(3, 4, 4)], (32, 32, 3))
    with pytest.raises(UsageError, match=f"it makes no {side}x{side} picture"):
        source_of(model).at_size((side, side))


def test_usual_size_is_no_other_size(small_student, source_of):
    graph = lower(small_student, input_shape=small_student.input_shape[1:])
    with pytest.raises(UsageError, match="other_sizes_px = 32, which the file takes anyway"):
        sizes.lower_other_sizes(CoremlConfig(other_sizes_px=(32,)), source_of(small_student), graph)


@pytest.mark.parametrize("sizes_px", [(64, 64), (0,)])
def test_wrong_sizes_are_refused_at_once(sizes_px: tuple[int, ...]):
    with pytest.raises(UsageError, match="other_sizes_px = "):
        CoremlConfig(other_sizes_px=sizes_px)


def test_operations_that_differ_by_size_are_named(chain):
    # At 16 this is the padding that `same` puts there, and is fused; at 15 it is not.
    model = chain(
        [layers.ZeroPadding2D(((0, 1), (0, 1))), layers.Conv2D(3, 3, strides=2, name="last")], (None, None, 3)
    )
    even, odd = (lower(model, input_shape=(side, side, 3)) for side in (16, 15))
    other = sizes.OtherSize(graph=odd, photos=(), expected=())
    with pytest.raises(UnsupportedLayer, match=r"zero_padding2d\S* \(Pad\) at 15x15 stands where generated"):
        sizes.require_same_operations(even, [other])
