"""A generator without some channels does what the whole one does when nothing reads them."""

from typing import get_args

import keras
import numpy as np
import pytest

from compress.models import mobile_resnet_generator
from compress.models.io import clone
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.models.pocket_generator import Family
from compress.prune.groups import Unit, find_groups
from compress.prune.surgery import remove_channels


def _mask(model: keras.Model, units: list[Unit]) -> None:
    """Zero what reads the units, in place: the definition of removing them, with nothing of the surgery in it."""
    for piece in (piece for unit in units for piece in unit if piece.role == "reads"):
        kernel = model.get_layer(piece.layer).kernel
        value = kernel.numpy()
        # Of a transposed convolution the inputs come last.
        np.moveaxis(value, piece.axis, 0)[piece.index] = 0.0
        kernel.assign(value)


def _removed(model: keras.Model, seed: int) -> list[Unit]:
    """Between none and all but one unit of every group."""
    random = np.random.default_rng(seed)
    removed = []
    for group in find_groups(model):
        count = random.integers(len(group.units))
        removed += [group.units[index] for index in random.permutation(len(group.units))[:count]]
    return removed


@pytest.mark.parametrize("context", [True, False], ids=["context", "plain"])
@pytest.mark.parametrize("family", get_args(Family))
def test_a_sliced_student_equals_the_masked_one(make_student, family, context) -> None:
    _require_sliced_as_masked(make_student(family, context=context))


def test_a_published_students_shape_is_sliced_too(randomise) -> None:
    shape = MobileResnetConfig(down=(8, 8, 16), inner=(8, 16), up=(8, 8), normalization="batch", padding="zero")
    student = randomise(mobile_resnet_generator.build_mobile_resnet(shape, (16, 16)))
    _require_sliced_as_masked(student)


def _require_sliced_as_masked(student: keras.Model) -> None:
    removed = _removed(student, seed=3)
    sliced = remove_channels(student, removed)
    photos = np.random.default_rng(1).uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    whole = student.predict_on_batch(photos)
    _mask(student, removed)
    masked = student.predict_on_batch(photos)
    # Two orders of the same float32 sums; outputs are within [-1, 1].
    np.testing.assert_allclose(sliced.predict_on_batch(photos), masked, atol=1e-5)
    assert np.abs(masked - whole).max() > 1e-2
    assert sliced.count_params() < student.count_params()


def test_a_pruned_student_saves_and_loads(make_student, tmp_path) -> None:
    student = make_student()
    sliced = remove_channels(student, _removed(student, seed=4))
    sliced.save(tmp_path / "student.keras")
    again = keras.saving.load_model(tmp_path / "student.keras")
    photos = np.zeros((1, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(again.predict_on_batch(photos), sliced.predict_on_batch(photos))
    assert [layer.name for layer in again.layers] == [layer.name for layer in student.layers]


def test_surgery_leaves_its_model_as_it_is(make_student) -> None:
    student = make_student()
    before = student.get_weights()
    remove_channels(student, _removed(student, seed=4))
    for one, other in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


def test_a_copy_computes_in_the_arithmetic_of_the_moment(make_student) -> None:
    student = make_student()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        copy = clone(student)
    finally:
        keras.config.set_dtype_policy("float32")
    convolution = copy.get_layer("conv2d" if "conv2d" in {layer.name for layer in copy.layers} else copy.layers[1].name)
    assert (convolution.compute_dtype, convolution.variable_dtype) == ("bfloat16", "float32")
    for one, other in zip(student.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
