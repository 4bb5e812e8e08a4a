"""The sum of a student's losses: which terms are in it, and what they weigh."""

from typing import Any

import keras
import numpy as np
import pytest

from compress.distill import distiller, losses
from compress.distill.config import DistillConfig
from compress.distill.distiller import Distiller
from compress.distill.features import FrozenFeatures, find_taps
from compress.models import pocket_generator
from compress.models.pocket_generator import PocketConfig

RANDOM = np.random.default_rng(0)
PHOTOS, TARGETS = (RANDOM.uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32) for _ in range(2))


def _model(teacher: keras.Model | None = None, **values: Any) -> Distiller:
    keras.utils.set_random_seed(0)
    alone: dict[str, Any] = {"l1_weight": 0.0, "ssim_weight": 0.0, "gradient_weight": 0.0}
    config = DistillConfig(image_size_px=16, width=8, blocks=2, batch_size=2, **(alone | values))
    student = pocket_generator.build_student(PocketConfig(image_size_px=16, width=8, blocks=2))
    return distiller.compile_distiller(student, config, teacher)


def _loss(model: Distiller, inputs: object = PHOTOS) -> float:
    return float(model.compute_loss(inputs, TARGETS, model(inputs, training=False)))


def test_the_default_loss_is_bit_by_bit_what_it_was() -> None:
    config = DistillConfig(image_size_px=16, width=8, blocks=2)
    model = Distiller(pocket_generator.build_student(PocketConfig(image_size_px=16, width=8, blocks=2)), config)
    made = model(PHOTOS, training=False)
    total = keras.ops.zeros(())
    for weight, loss in (
        (1.0, losses.l1_loss),
        (0.25, losses.ssim_loss),
        (0.5, losses.gradient_loss),
    ):
        total = total + weight * loss(made, keras.ops.convert_to_tensor(TARGETS))
    assert float(model.compute_loss(PHOTOS, TARGETS, made)) == float(total)
    assert {metric.name for metric in model.metrics} == {"l1", "ssim", "gradient"}


def test_a_loss_without_a_weight_is_neither_computed_nor_logged() -> None:
    model = _model(gradient_weight=3.0)
    assert {metric.name for metric in model.metrics} == {"loss", "gradient"}
    made = model(PHOTOS, training=False)
    assert _loss(model) == pytest.approx(3 * float(losses.gradient_loss(made, TARGETS)), rel=1e-5)


def test_losses_of_features_are_means_over_the_teachers_resolutions(teacher: keras.Model) -> None:
    model = _model(teacher, feature_weight=2.0)
    encoder = FrozenFeatures(teacher, list(find_taps(teacher, 16).encoder.values()))
    made = encoder(model(PHOTOS, training=False))
    expected = np.mean([float(losses.feature_loss(*pair)) for pair in zip(made, encoder(TARGETS), strict=True)])
    assert _loss(model) == pytest.approx(2 * expected, rel=1e-5)


def test_a_hint_looks_into_student_and_teacher_at_the_same_photos(teacher: keras.Model) -> None:
    model = _model(teacher, hint_weight=1.0, hint_depth="trunk")
    image, *inside = model(PHOTOS, training=False)
    assert image.shape == (2, 16, 16, 3)
    # Half and quarter of the size, then the middle and the last block.
    assert [one.shape for one in inside] == [(2, 8, 8, 4), (2, 4, 4, 8), (2, 4, 4, 8), (2, 4, 4, 8)]
    taps = find_taps(teacher, 16)
    theirs = FrozenFeatures(teacher, [taps.encoder[8], taps.encoder[4], *taps.trunk])(PHOTOS)
    adapted = [adapt(ours) for adapt, ours in zip(model._adaptors, inside, strict=True)]
    expected = np.mean([np.square(one - other).mean() for one, other in zip(adapted, theirs, strict=True)])
    assert _loss(model) == pytest.approx(expected, rel=1e-5)


def test_a_hint_is_widened_by_convolutions_that_learn_and_stay_out_of_the_student(
    teacher: keras.Model, eagerly: None
) -> None:
    model = _model(teacher, l1_weight=0.1, hint_weight=1.0, hint_depth="trunk")
    names = [len(model.student.trainable_variables), len(model.trainable_variables)]
    # A kernel and a bias for each of four features.
    assert names[1] - names[0] == 8
    begun = [np.asarray(variable) for variable in model.trainable_variables]
    losses_seen = [model.train_on_batch(PHOTOS, TARGETS) for _ in range(30)]
    assert float(np.ravel(losses_seen[-1])[0]) < float(np.ravel(losses_seen[0])[0])
    moved = [np.abs(now - one).max() for now, one in zip(model.trainable_variables, begun, strict=True)]
    adaptors = [step for step, one in zip(moved, model.trainable_variables, strict=True) if "adaptor" in one.path]
    assert len(adaptors) == 8
    assert min(adaptors) > 0


def test_a_teacher_is_neither_trained_nor_kept_in_the_checkpoint(teacher: keras.Model) -> None:
    weights = {"gram_weight": 1.0, "feature_weight": 1.0, "channel_weight": 1.0, "hint_weight": 1.0}
    # A kernel and a bias of the adaptor at each of two resolutions.
    model, metrics, adaptors = _model(teacher, **weights), 6, 4
    assert len(model.trainable_variables) == len(model.student.trainable_variables) + adaptors
    others = len(model.student.variables) + len(model.optimizer.variables) + adaptors
    assert len(model.variables) - others <= 2 * metrics
    owned = {id(variable) for variable in model.variables}
    assert not owned & {id(variable) for variable in teacher.variables}


def test_losses_through_the_encoder_see_the_square_of_the_step_alone(teacher: keras.Model) -> None:
    keras.utils.set_random_seed(0)
    config = DistillConfig(
        image_size_px=40, width=8, blocks=1, batch_size=2, l1_weight=0, ssim_weight=0, gradient_weight=0,
        feature_weight=1.0, discriminator_crop_px=32,
    )  # fmt: skip
    student = pocket_generator.build_student(PocketConfig(image_size_px=40, width=8, blocks=1))
    model = distiller.compile_distiller(student, config, teacher)
    photos, targets = (RANDOM.uniform(-1, 1, (2, 40, 40, 3)).astype(np.float32) for _ in range(2))
    inputs = {"photos": photos, "l1_scale": np.ones(1, np.float32), "cut": np.array([3, 8], np.int32)}
    encoder = FrozenFeatures(teacher, list(find_taps(teacher, 32).encoder.values()))
    made = np.asarray(model(photos, training=False))
    seen = [encoder(images[:, 3:35, 8:40]) for images in (made, targets)]
    expected = np.mean([float(losses.feature_loss(*pair)) for pair in zip(*seen, strict=True)])
    found = model.compute_loss(inputs, targets, model(inputs, training=False))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_l1_is_turned_down_by_its_share() -> None:
    model = _model(l1_weight=2.0, l1_final_scale=0.1)
    inputs = {"photos": PHOTOS, "l1_scale": np.full(1, 0.1, np.float32)}
    expected = 0.2 * float(losses.l1_loss(model(PHOTOS, training=False), TARGETS))
    assert _loss(model, inputs) == pytest.approx(expected, rel=1e-5)


def test_losses_that_look_through_a_teacher_need_one() -> None:
    with pytest.raises(ValueError, match="teacher = None"):
        _model(gram_weight=1.0)
