"""Students: the shape they promise, the identity they start from."""

import keras
import numpy as np
import pytest

from compress.models import pocket_generator
from compress.models.pocket_generator import Family, PocketConfig

FAMILIES: list[Family] = ["pixel_shuffle", "separable"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("context", [True, False])
def test_a_student_returns_an_image_of_its_inputs_size_within_range(family: Family, context: bool) -> None:
    student = pocket_generator.build(PocketConfig(family=family, image_size_px=36, width=16, context=context))
    photos = np.random.default_rng(0).uniform(-1, 1, (2, 36, 36, 3)).astype(np.float32)
    generated = np.asarray(student(photos))
    assert generated.shape == photos.shape
    assert np.abs(generated).max() <= 1


def test_a_pixel_shuffle_student_starts_as_the_identity() -> None:
    student = pocket_generator.build(PocketConfig(image_size_px=32, width=16))
    photos = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(student(photos)), np.tanh(photos), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_student_loads_with_the_same_output(family: Family, tmp_path) -> None:
    student = pocket_generator.build(PocketConfig(family=family, image_size_px=16, width=16, blocks=2))
    student.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    photos = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(photos)), np.asarray(student(photos)))


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="30"):
        pocket_generator.build(PocketConfig(image_size_px=30))
