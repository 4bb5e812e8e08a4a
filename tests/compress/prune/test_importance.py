"""Importance against NumPy, by loops, and by what really happens when a channel goes."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.distill.config import DistillConfig
from compress.distill.distiller import Distiller
from compress.distill.training_data.build import TrainingData
from compress.distill.training_data.pairs import Pairs
from compress.models import mobile_resnet_generator
from compress.models.mobile_resnet_generator import MobileResnetConfig
from compress.prune import importance
from compress.prune.groups import find_groups
from compress.prune.sensitivity import gradients_on
from compress.prune.surgery import remove_channels

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 4, 5))


@pytest.mark.parametrize("axis", [2, 3])
def test_kernel_norms_are_sums_of_magnitudes(axis) -> None:
    scores = importance.kernel_norms(KERNEL, axis=axis)
    for index, score in enumerate(scores):
        weights = np.take(KERNEL, index, axis=axis)
        assert score == pytest.approx(np.abs(weights).sum())


def test_scale_magnitudes_forget_the_sign() -> None:
    np.testing.assert_array_equal(importance.scale_magnitudes(np.array([-2.0, 0.5, 0.0])), [2.0, 0.5, 0.0])


def test_the_loss_change_is_the_gradient_along_the_way_to_zero() -> None:
    gradient = np.random.default_rng(1).normal(size=KERNEL.shape)
    scores = importance.loss_change(KERNEL, gradient)
    assert scores.shape == (4,)
    for index, score in enumerate(scores):
        assert score == pytest.approx(sum((KERNEL[:, :, index] * gradient[:, :, index]).ravel()))


def test_normalized_scores_have_a_mean_of_one_and_zeros_tell_nothing_apart() -> None:
    np.testing.assert_allclose(importance.normalize_scores(np.array([1.0, 3.0])), [0.5, 1.5])
    np.testing.assert_array_equal(importance.normalize_scores(np.zeros(3)), np.ones(3))


def _residual() -> keras.Model:
    image = keras.Input((8, 8, 3))
    trunk = layers.BatchNormalization(name="stem_norm")(layers.Conv2D(4, 1, name="stem", use_bias=False)(image))
    outer = layers.Conv2D(4, 1, name="outer", use_bias=False)(trunk)
    trunk = layers.Add()([trunk, layers.BatchNormalization(name="outer_norm", gamma_initializer="zeros")(outer)])
    return keras.Model(image, layers.Conv2D(3, 1, name="last")(trunk))


def test_a_shared_channel_is_scored_over_all_its_makers() -> None:
    model = _residual()
    (group,) = find_groups(model)
    (scores,) = importance.score_by_weights(model, [group], "norm")
    summed = sum(importance.kernel_norms(model.get_layer(name).kernel.numpy()) for name in ("stem", "outer"))
    np.testing.assert_allclose(scores, summed / np.mean(summed), rtol=1e-6)


def test_a_block_near_the_identity_has_no_say_in_its_trunks_gains() -> None:
    model = _residual()
    gains = np.array([0.1, 2.0, -3.0, 0.5], np.float32)
    model.get_layer("stem_norm").gamma.assign(gains)
    (scores,) = importance.score_by_weights(model, find_groups(model), "bn_scale")
    np.testing.assert_allclose(scores, np.abs(gains) / np.abs(gains).mean(), rtol=1e-6)


def test_gains_fall_back_on_weights_where_there_are_none() -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, layers.Conv2D(3, 1)(layers.Conv2D(4, 1)(image)))
    groups = find_groups(model)
    for one, other in zip(
        importance.score_by_weights(model, groups, "bn_scale"),
        importance.score_by_weights(model, groups, "norm"),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_loss_scores_sum_a_channels_readers_with_sign_and_average_batches_by_size() -> None:
    model = _residual()
    (group,) = find_groups(model)
    random = np.random.default_rng(2)
    batches = [{name: random.normal(size=model.get_layer(name).kernel.shape) for name in ("outer", "last")}] * 2
    batches[1] = {name: -gradient for name, gradient in batches[0].items()}
    (scores,) = importance.score_by_loss(model, [group], batches)
    change = sum(
        importance.loss_change(model.get_layer(name).kernel.numpy(), gradient) for name, gradient in batches[0].items()
    )
    np.testing.assert_allclose(scores, np.abs(change) / np.abs(change).mean(), rtol=1e-6)


@pytest.fixture
def training_data() -> TrainingData:
    random = np.random.default_rng(3)
    photos, targets = (random.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8) for _ in range(2))
    return TrainingData(Pairs(photos, targets, np.arange(6)), None, None)


def test_gradients_are_those_of_the_distillation_loss(make_student, training_data) -> None:
    student, config = make_student(blocks=1), DistillConfig(batch_size=6, seed=1)
    (gradients,) = gradients_on(student, training_data, config, images=6)
    photos, targets = training_data.pairs.batch(np.arange(6))
    distiller = Distiller(student, config)

    def loss() -> float:
        return float(distiller.compute_loss(y=targets, y_pred=student(photos, training=False)))

    name = next(name for name in gradients if student.get_layer(name).kernel.shape[0] == 3)
    kernel = student.get_layer(name).kernel
    whole, gradient, step = kernel.numpy(), gradients[name], 1e-3
    # Along the gradient itself the loss rises by its squared length, and by central differences that is exact enough.
    direction = gradient / np.linalg.norm(gradient)
    kernel.assign(whole + step * direction)
    above = loss()
    kernel.assign(whole - step * direction)
    below = loss()
    assert (above - below) / (2 * step) == pytest.approx(np.linalg.norm(gradient), rel=0.05)


def test_gradients_know_which_axis_of_a_transposed_kernel_is_read(make_student, training_data, randomise) -> None:
    shape = MobileResnetConfig(down=(8, 8, 16), inner=(8,), up=(8, 8), normalization="batch", padding="zero")
    student = randomise(mobile_resnet_generator.build_mobile_resnet(shape, (16, 16)))
    groups = find_groups(student)
    transposed = [layer.name for layer in student.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    place, group = next((i, group) for i, group in enumerate(groups) if transposed[0] in group.makers)
    dead = group.units[3]
    for piece in (piece for piece in dead if piece.role == "reads"):
        kernel = student.get_layer(piece.layer).kernel
        value = kernel.numpy()
        np.moveaxis(value, piece.axis, 0)[piece.index] = 0
        kernel.assign(value)
    gradients = list(gradients_on(student, training_data, DistillConfig(batch_size=6), images=6))
    scores = importance.score_by_loss(student, groups, gradients)
    assert {len(one) for one in scores} == {8, 16}
    assert scores[place][3] == 0.0
    assert np.count_nonzero(scores[place]) == 7
    assert len(importance.score_by_weights(student, groups, "norm")[place]) == 8


def test_calibration_leaves_the_student_as_it_is_and_uses_so_many_images(make_student, training_data) -> None:
    student = make_student(blocks=1)
    before = student.get_weights()
    batches = list(gradients_on(student, training_data, DistillConfig(batch_size=2), images=4))
    assert len(batches) == 2
    for one, other in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)


def test_a_channel_that_nothing_reads_is_the_first_to_go(make_student, training_data) -> None:
    student = make_student(blocks=1)
    groups = find_groups(student)
    dead = groups[1].units[5]
    for piece in (piece for piece in dead if piece.role == "reads"):
        kernel = student.get_layer(piece.layer).kernel
        value = kernel.numpy()
        value[:, :, piece.index] = 0
        kernel.assign(value)
    gradients = gradients_on(student, training_data, DistillConfig(batch_size=6), images=6)
    scores = importance.score_by_loss(student, groups, gradients)
    assert scores[1][5] == min(np.concatenate(scores)) == 0.0
    photos, _ = training_data.pairs.batch(np.arange(2))
    pruned = remove_channels(student, [dead])
    np.testing.assert_allclose(pruned.predict_on_batch(photos), student.predict_on_batch(photos), atol=1e-5)
