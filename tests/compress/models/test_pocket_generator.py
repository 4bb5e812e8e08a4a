"""Students: the shape they promise, the identity they start from, what each setting changes."""

from typing import Any, get_args

import keras
import numpy as np
import pytest
from keras import layers

from compress.errors import UsageError
from compress.models import pocket_generator
from compress.models.layers import DepthToSpace
from compress.models.pocket_generator import Family, PocketConfig

FAMILIES = get_args(Family)


def _photos(side: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, 3)).astype(np.float32)


def _build(family: Family, side: int = 16, **values: Any) -> keras.Model:
    return pocket_generator.build_student(
        PocketConfig(**{"family": family, "image_size_px": side, "width": 16, "blocks": 2} | values)
    )


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("context", [True, False])
def test_a_student_returns_an_image_of_its_inputs_size_within_range(family: Family, context: bool) -> None:
    photos = _photos(40, count=2)
    generated = np.asarray(_build(family, 40, context=context)(photos))
    assert generated.shape == photos.shape
    assert np.abs(generated).max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_starts_as_the_identity(family: Family) -> None:
    photos = _photos(32)
    np.testing.assert_allclose(np.asarray(_build(family, 32)(photos)), np.tanh(photos), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_without_the_skip_over_the_image_draws_it_from_features(family: Family) -> None:
    photos = _photos(32)
    generated = np.asarray(_build(family, 32, image_skip=False)(photos))
    assert np.abs(generated - np.tanh(photos)).mean() > 0.1
    assert generated.std() > 0.01


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_student_loads_with_the_same_output(family: Family, tmp_path) -> None:
    student = _build(family)
    student.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    photos = _photos(16)
    np.testing.assert_array_equal(np.asarray(loaded(photos)), np.asarray(student(photos)))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_kernel_size_is_that_of_the_trunk(family: Family) -> None:
    own, wide = (_build(family, kernel_size=side) for side in (None, 7))
    found = [_kernel_sides(student) for student in (own, wide)]
    assert found[0].count(7) == 0
    # Two of them in each of two blocks.
    assert found[1].count(7) == 4
    assert found[0].count(5 if family == "unet" else 3) - found[1].count(5 if family == "unet" else 3) == 4


@pytest.mark.parametrize(("family", "enlarged"), [("pixel_shuffle", 1), ("separable", 2), ("unet", 2)])
def test_the_upsampler_enlarges_features(family: Family, enlarged: int) -> None:
    bilinear, shuffled = (_build(family, upsampler=kind) for kind in ("bilinear", "depth_to_space"))
    assert len([layer for layer in bilinear.layers if isinstance(layer, layers.UpSampling2D)]) == enlarged
    assert not any(isinstance(layer, layers.UpSampling2D) for layer in shuffled.layers)
    shuffles = [len([layer for layer in one.layers if isinstance(layer, DepthToSpace)]) for one in (shuffled, bilinear)]
    assert shuffles[0] - shuffles[1] == enlarged


def test_features_of_a_unet_take_the_photo_away_where_they_want_to() -> None:
    student = _build("unet")
    opened = next(layer for layer in reversed(student.layers) if isinstance(layer, layers.ReLU)).input
    gate = next(
        one for one in student.layers if one.trainable and one.output is opened._keras_history.operation.input[1]
    )
    photos = _photos(16)
    # Features after a ReLU are nowhere negative, so these weights close both signs wherever a feature is positive.
    gate.set_weights([np.full(gate.kernel.shape, -1e6, dtype=np.float32)])
    left = np.asarray(student(photos))
    assert np.abs(left).mean() < 0.1 * np.abs(np.tanh(photos)).mean()


def test_a_unet_splits_the_photos_signs_by_ones_and_zeros_that_are_not_trained() -> None:
    student = _build("unet")
    fixed = [layer for layer in student.layers if isinstance(layer, layers.Conv2D) and not layer.trainable]
    split, joined = (np.asarray(layer.kernel)[0, 0] for layer in fixed)
    np.testing.assert_array_equal(split, np.concatenate([np.eye(12), -np.eye(12)], axis=1))
    np.testing.assert_array_equal(joined, split.T)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image_size_px": 30}, "image_size_px = 30"),
        ({"image_size_px": 36, "family": "unet"}, "multiple of 8 for family = unet"),
        ({"width": 15}, "width = 15"),
        ({"blocks": 0}, "blocks = 0"),
        ({"kernel_size": 4}, "kernel_size = 4"),
        ({"kernel_size": -3}, "kernel_size = -3"),
        ({"family": "space_to_depth", "upsampler": "bilinear"}, "upsampler = bilinear"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name_and_value(values: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        PocketConfig(**values)


def _kernel_sides(student: keras.Model) -> list[int]:
    kinds = (layers.Conv2D, layers.DepthwiseConv2D)
    return [layer.kernel_size[0] for layer in student.layers if isinstance(layer, kinds)]
