"""Branches that fold away: the same function afterwards, and nothing left of them."""

from typing import get_args

import keras
import numpy as np
import pytest
from keras import layers

from compress.distill.config import DistillConfig
from compress.distill.distiller import compiled
from compress.models import pocket_generator
from compress.models.pocket.config import Family, PocketConfig
from compress.models.pocket.reparameterization import BranchedConv2D, folded
from compress.precision import arithmetic

FAMILIES = get_args(Family)


def _randomise(model: keras.Model) -> keras.Model:
    """Weights and statistics as of a trained net: every branch of every convolution matters."""
    random = np.random.default_rng(11)
    for variable in model.variables:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "moving_variance"):
            # Small gains keep activations at about 1, as training does: float32 has no 1e-5 left of larger ones.
            variable.assign(random.uniform(0.2, 0.6, shape) * (3 if variable.name == "moving_variance" else 1))
        elif variable.name in ("beta", "bias", "moving_mean"):
            variable.assign(random.normal(0, 0.3, shape))
        elif variable.dtype == "float32":
            variable.assign(random.normal(0, 1, shape) / np.sqrt(np.prod(shape[:-1])))
    return model


def _student(family: Family, width: int = 16) -> keras.Model:
    shape = PocketConfig(family=family, image_size_px=32, width=width, blocks=2, reparameterize=True)
    return pocket_generator.build(shape)


def _photos(count: int = 2, side: int = 32, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("filters", "kernel_size", "strides", "branches"),
    [(5, 3, 1, 2), (4, 3, 1, 3), (4, 3, 2, 2), (4, 4, 2, 2), (6, 5, 1, 2), (None, 3, 1, 3), (None, 5, 1, 3)],
)
def test_a_branched_convolution_folds_into_one(filters, kernel_size: int, strides: int, branches: int) -> None:
    image = keras.Input((12, 12, 4))
    layer = BranchedConv2D(filters, kernel_size, strides, name="branched")
    model = _randomise(keras.Model(image, layer(image)))
    assert len([variable for variable in layer.weights if variable.name == "gamma"]) == branches
    plain = folded(model)
    assert type(plain.get_layer("branched")) is (layers.DepthwiseConv2D if filters is None else layers.Conv2D)
    features = _photos(side=12, channels=4)
    # A hundredth of the values' own size in their last digits; they are about 1.
    np.testing.assert_allclose(np.asarray(plain(features)), np.asarray(model(features)), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folded_student_does_what_the_trained_one_does(family: Family) -> None:
    student, photos = _randomise(_student(family)), _photos()
    plain = folded(student)
    made = np.asarray(student(photos))
    np.testing.assert_allclose(np.asarray(plain(photos)), made, atol=1e-5)
    assert np.ptp(made) > 0.5
    assert not any(isinstance(layer, BranchedConv2D) for layer in plain.layers)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in student.layers]


def test_a_student_without_branches_is_left_as_it_is() -> None:
    student = pocket_generator.build(PocketConfig(image_size_px=16, width=8, blocks=1))
    assert folded(student) is student


def test_branches_are_trained_in_half_precision_and_fold_in_float32() -> None:
    config = DistillConfig(image_size_px=32, batch_size=2)
    with arithmetic("mixed_bfloat16"):
        student = _student("pixel_shuffle", width=8)
        model = compiled(student, config)
    # Four steps do not pay for compiling them.
    model.run_eagerly = True
    branched = [layer for layer in student.layers if isinstance(layer, BranchedConv2D)]
    assert {(layer.compute_dtype, layer.variable_dtype) for layer in branched} == {("bfloat16", "float32")}
    before = [[np.asarray(value) for value in layer.get_weights()] for layer in branched]
    photos = _photos()
    losses = [model.train_on_batch(photos, -photos, return_dict=True)["loss"] for _ in range(4)]
    assert np.isfinite(losses).all()
    # Kernels of a block's second convolution stand still at first: its gains start at zero.
    assert all(
        any(np.abs(new - old).max() > 0 for new, old in zip(layer.get_weights(), weights, strict=True))
        for layer, weights in zip(branched, before, strict=True)
    )
    finished = _student("pixel_shuffle", width=8)
    finished.set_weights(student.get_weights())
    plain = folded(finished)
    assert plain.compute_dtype == "float32"
    np.testing.assert_allclose(np.asarray(plain(photos)), np.asarray(finished(photos)), atol=1e-5)


def test_a_branched_student_saves_and_loads(tmp_path) -> None:
    student = _student("separable", width=8)
    student.save(tmp_path / "model.keras")
    loaded, photos = keras.saving.load_model(tmp_path / "model.keras"), _photos()
    np.testing.assert_array_equal(np.asarray(loaded(photos)), np.asarray(student(photos)))
