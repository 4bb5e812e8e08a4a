"""Occluders: how they look to a program, that photo and teacher's image get the same, and where they come in."""

from collections.abc import Callable

import numpy as np
import pytest

from compress.distill.config import FitConfig
from compress.distill.fit import training_batch
from compress.distill.step_inputs import step_inputs
from compress.distill.training_data.occluders import shapes
from compress.distill.training_data.occluders.canvas import Canvas, FacePlace
from compress.distill.training_data.occluders.paste import draw_occluder, draw_occluders, paste
from compress.distill.training_data.pairs import Pairs
from compress.faces.template import AlignmentTemplate

SIZE_PX = 64
CONFIG = FitConfig(batch_size=8, augment="occluders")
UPRIGHT = FacePlace((0.5, 0.43), 0.235, 0.0)
Shape = Callable[[Canvas, np.random.Generator], None]


def _draw(shape: Shape, number: int, place: FacePlace = UPRIGHT) -> np.ndarray:
    canvas = Canvas(SIZE_PX, place)
    shape(canvas, np.random.default_rng(number))
    return canvas.layer()


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Twenty black photos, whose targets are white."""
    photos = np.zeros((20, SIZE_PX, SIZE_PX, 3), np.uint8)
    return Pairs(photos, 255 - photos, np.arange(20))


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_every_occluder_covers_a_part_of_the_face_with_soft_edges_and_differs_each_time(shape: Shape) -> None:
    layers = [_draw(shape, number) for number in range(20)]
    covered = [float((layer[..., 3] > 0).mean()) for layer in layers]
    assert 0.02 < np.median(covered) < 0.5
    assert max(covered) < 0.75
    assert all(((layer[..., 3] > 0) & (layer[..., 3] < 255)).any() for layer in layers)
    assert len({layer.tobytes() for layer in layers}) == 20


def test_glasses_sit_before_the_eyes_of_the_face_wherever_it_lies() -> None:
    for place in (UPRIGHT, FacePlace((0.35, 0.6), 0.2, 0.3)):
        opacity = np.sum([_draw(shapes.draw_glasses, number, place)[..., 3].astype(float) for number in range(10)], 0)
        ys, xs = np.mgrid[:SIZE_PX, :SIZE_PX] + 0.5
        middle = np.array([(opacity * xs).sum(), (opacity * ys).sum()]) / opacity.sum() / SIZE_PX
        np.testing.assert_allclose(middle, place.eyes, atol=0.03)
        # The temples reach as far as the ears, and turn with the head.
        assert (xs[opacity > 0].max() - xs[opacity > 0].min()) / SIZE_PX == pytest.approx(
            2.4 * place.eye_distance * np.cos(place.roll_rad), abs=0.05
        )


def test_clear_lenses_let_the_eyes_through_and_dark_ones_do_not() -> None:
    eye = (round(0.43 * SIZE_PX), round((0.5 - 0.235 / 2) * SIZE_PX))
    opacities = [int(_draw(shapes.draw_glasses, number)[*eye, 3]) for number in range(40)]
    assert {opacity > 128 for opacity in opacities} == {False, True}
    assert max(opacities) < 255


def test_a_template_tells_where_faces_lie() -> None:
    def middles(alignment: AlignmentTemplate | None) -> np.ndarray:
        layers = [draw_occluder(np.random.default_rng(number), SIZE_PX, alignment) for number in range(60)]
        glasses = [layer for layer in layers if 0 < (layer[..., 3] > 0).mean() < 0.3]
        return np.array([np.argwhere(layer[..., 3] > 0).mean(axis=0) / SIZE_PX for layer in glasses])

    aligned, unknown = middles(AlignmentTemplate(eyes_x=0.3, eye_distance=0.1)), middles(None)
    assert aligned[:, 1].mean() < 0.38 < unknown[:, 1].mean()
    assert aligned.std(axis=0).sum() < unknown.std(axis=0).sum()


def test_pasting_blends_by_opacity_and_leaves_its_input_alone() -> None:
    image = np.full((1, 3, 3), 100, np.uint8)
    layer = np.array([[[200, 0, 50, 0], [200, 0, 50, 255], [200, 0, 50, 51]]], np.uint8)
    np.testing.assert_array_equal(paste(image, layer), [[[100] * 3, [200, 0, 50], [120, 80, 90]]])
    assert (image == 100).all()


def test_photo_and_target_get_the_same_occluder_and_are_flipped_with_it(pairs: Pairs) -> None:
    layers = draw_occluders([(3, number) for number in range(6)], SIZE_PX, None)
    assert {layer is None for layer in layers} == {False, True}
    photos, targets = pairs.batch(np.arange(6), np.arange(6) % 2 == 0, layers)
    for number, layer in enumerate(layers):
        photo, target = photos[number], targets[number]
        if layer is None:
            assert (photo == -1).all()
            assert (target == 1).all()
            continue
        expected = layer[:, ::-1] if number % 2 == 0 else layer
        solid = expected[..., 3] == 255
        np.testing.assert_array_equal(photo[solid], target[solid])
        np.testing.assert_allclose(photo[solid], expected[solid][:, :3] / 127.5 - 1, atol=1e-6)
        # White and black shine through to the same part everywhere.
        np.testing.assert_allclose((target - photo) / 2, np.tile(1 - expected[..., 3:] / 255, 3), atol=1.01 / 255)
    assert not pairs.photos.any()


def test_occluders_depend_on_seed_step_and_photo_alone_and_leave_half_of_the_photos_clean(pairs: Pairs) -> None:
    batches = [training_batch(pairs, CONFIG, step)[0] for step in range(20)]
    np.testing.assert_array_equal(batches[7], training_batch(pairs, CONFIG, 7)[0])
    occluded = [photo for batch in batches for photo in batch if (photo > -1).any()]
    assert 55 < len(occluded) < 105
    assert len({photo.tobytes() for photo in occluded}) == len(occluded)
    assert not (training_batch(pairs, FitConfig(batch_size=8), 7)[0] > -1).any()


def test_real_images_that_a_discriminator_sees_are_occluded_too() -> None:
    config = FitConfig(batch_size=8, augment="occluders", adversarial_weight=1.0, steps=10, adversarial_from_step=0.0)
    photos, real = np.zeros((8, SIZE_PX, SIZE_PX, 3), np.float32), np.zeros((20, SIZE_PX, SIZE_PX, 3), np.uint8)
    inputs = step_inputs(photos, 3, config, real)
    assert isinstance(inputs, dict)
    covered = [bool((image > -1).any()) for image in inputs["real"]]
    assert set(covered) == {False, True}
    assert not real.any()
