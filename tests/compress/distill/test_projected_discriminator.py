"""The projected discriminator: heads over frozen features, each side moved by its own loss alone."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress.distill import distiller
from compress.distill.config import DistillConfig
from compress.distill.discriminators.projected import INPUTS, ProjectedDiscriminator
from compress.distill.perceptual import PerceptualNetwork, load_perceptual_network
from compress.distill.step_inputs import step_inputs, step_pairs
from compress.models import pocket_generator, projected_discriminator

RANDOM = np.random.default_rng(0)
REAL = RANDOM.integers(0, 256, (5, 40, 40, 3)).astype(np.uint8)
PHOTOS, TARGETS = (RANDOM.uniform(-1, 1, (2, 40, 40, 3)).astype(np.float32) for _ in range(2))


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two scales, 4 and 6 channels."""
    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 3))
    half = keras.layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(image)
    quarter = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")(half)
    path = tmp_path_factory.mktemp("network") / "network.keras"
    keras.Model(image, [half, quarter]).save(path)
    return path


@pytest.fixture
def network(network_file: Path) -> PerceptualNetwork:
    return load_perceptual_network(str(network_file))


def _config(network_file: Path, **values: Any) -> DistillConfig:
    settings: dict[str, Any] = {
        "image_size_px": 40, "width": 8, "blocks": 1, "batch_size": 2, "steps": 20, "adversarial_weight": 3.0,
        "discriminator_filters": 4, "adversarial_from_step": 10, "perceptual_network": str(network_file),
        "precision": "float32", "discriminator_crop_px": 32, **values,
    }  # fmt: skip
    return DistillConfig(**settings)


def _compiled(config: DistillConfig) -> distiller.Distiller:
    keras.utils.set_random_seed(0)
    return distiller.compile_distiller(pocket_generator.build_student(config), config)


def _train(model: distiller.Distiller, config: DistillConfig, step: int) -> dict[str, float]:
    photos, targets = step_pairs(PHOTOS, TARGETS, step, config)
    return model.train_on_batch(step_inputs(photos, step, config, REAL), targets, return_dict=True)


def test_a_network_of_one_scale_judges_too(tmp_path: Path) -> None:
    """Keras returns a single output by itself, no list of one."""
    image = keras.Input((None, None, 3))
    quarter = keras.layers.Conv2D(4, 3, strides=4, padding="same", activation="relu")(image)
    keras.Model(image, quarter).save(tmp_path / "one.keras")
    config = _config(tmp_path / "one.keras", adversarial_from_step=0)
    logged = _train(_compiled(config), config, 1)
    assert 0 < logged["discriminator"] < 4
    assert np.isfinite(logged["adversarial"])


def test_a_discriminator_has_a_map_of_scores_for_each_scale_and_a_mixing_that_stays() -> None:
    heads = projected_discriminator.build_discriminator([4, 6], filters=8)
    features = [np.zeros((2, 16, 16, 4), np.float32), np.zeros((2, 8, 8, 6), np.float32)]
    assert [scores.shape for scores in heads(features)] == [(2, 8, 8, 1), (2, 4, 4, 1)]
    mixings = [layer for layer in heads.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.kernel.shape for layer in mixings] == [(1, 1, 4, 8), (1, 1, 6, 8)]
    assert not any(layer.trainable_variables for layer in mixings)


def _slopes(tape: tf.GradientTape, loss: Any, sources: list[Any]) -> list[np.ndarray]:
    return [np.asarray(slope) for slope in tape.gradient(loss, sources)]


def test_each_side_is_moved_by_its_own_loss_alone(network: PerceptualNetwork, network_file: Path) -> None:
    config = _config(network_file)
    keras.utils.set_random_seed(0)
    discriminator = ProjectedDiscriminator(config, network)
    fake = [tf.constant(np.asarray(one)) for one in network(PHOTOS)]
    real = network(TARGETS)
    variables = [variable.value for variable in discriminator.network.trainable_variables]
    inputs = {"real": TARGETS, "adversarial_scale": np.ones(1, np.float32)}
    for _ in range(100):
        # Until the estimates of the largest singular values stay.
        discriminator.network(fake, training=True)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(fake)
        total, logged = discriminator.compute_losses([(one, None) for one in fake], inputs)
        scores_fake, scores_real = discriminator.network(fake), discriminator.network(real)
        generator_loss = -sum(tf.reduce_mean(one) for one in scores_fake) / 2
        own = [
            tf.reduce_mean(tf.nn.relu(1 - one)) + tf.reduce_mean(tf.nn.relu(1 + other))
            for one, other in zip(scores_real, scores_fake, strict=True)
        ]
        own_loss, weighted = sum(own) / 4, 3 * generator_loss
    assert float(logged["adversarial"]) == pytest.approx(float(generator_loss), rel=1e-3)
    assert float(total) == pytest.approx(float(weighted) + float(own_loss), rel=1e-3)
    for found, expected in (
        (_slopes(tape, total, fake), _slopes(tape, weighted, fake)),
        (_slopes(tape, total, variables), _slopes(tape, own_loss, variables)),
    ):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0.02, atol=1e-4)


def test_it_learns_before_the_student_heeds_it(eagerly: None, network_file: Path) -> None:
    config = _config(network_file, l1_weight=0.0, ssim_weight=0.0, gradient_weight=0.0)
    model = _compiled(config)
    student, heads = model.student.get_weights(), model.discriminator.network.get_weights()  # pyright: ignore[reportOptionalMemberAccess]

    def moved() -> tuple[float, float]:
        sides = ((model.student, student), (model.discriminator.network, heads))  # pyright: ignore[reportOptionalMemberAccess]
        trained = [
            [np.abs(np.asarray(one) - before).max() for one, before in zip(net.get_weights(), begun, strict=True)]
            for net, begun in sides
        ]
        kernels = [position for position, one in enumerate(student) if one.ndim == 4]
        return max(trained[0][position] for position in kernels), max(trained[1])

    assert not set(INPUTS) & set(step_inputs(PHOTOS, 6, config, REAL))
    _train(model, config, 7)
    assert moved()[0] == 0 < moved()[1]
    _train(model, config, 10)
    assert moved()[0] > 0


def test_losses_in_features_compare_the_squares_that_are_cut(eagerly: None, network_file: Path) -> None:
    config = _config(
        network_file, adversarial_weight=0.0, perceptual_weight=2.0, statistics_weight=1.0, l1_weight=0.0,
        ssim_weight=0.0, gradient_weight=0.0,
    )  # fmt: skip
    model = _compiled(config)
    inputs = step_inputs(PHOTOS, 3, config, None)
    assert isinstance(inputs, dict)
    top, left = inputs["cut"]
    fake = np.asarray(model.student(PHOTOS, training=True))[:, top : top + 32, left : left + 32]
    seen = load_perceptual_network(str(network_file))
    pairs = list(zip(seen(fake), seen(TARGETS[:, top : top + 32, left : left + 32]), strict=True))
    expected = np.mean([np.abs(one - other).mean() / np.abs(other).mean() for one, other in map(np.asarray, pairs)])
    logged = _train(model, config, 3)
    assert logged["perceptual"] == pytest.approx(expected, rel=1e-3)
    assert logged["loss"] == pytest.approx(2 * logged["perceptual"] + logged["statistics"], rel=1e-4)


def test_squares_and_whole_images_train_the_same_weights(eagerly: None, network_file: Path) -> None:
    config = _config(network_file, adversarial_weight=0.0, crop_px=32, crop_until=0.5)
    model = _compiled(config)
    # At the very first step only the last convolution moves: it is zero, and stops the gradients of those before it.
    _train(model, config, 0)
    for step, side in ((1, 32), (10, 40)):
        photos, targets = step_pairs(PHOTOS, TARGETS, step, config)
        assert photos.shape == targets.shape == (2, side, side, 3)
        before = model.student.get_weights()[0]
        _train(model, config, step)
        assert np.any(before != model.student.get_weights()[0])
    assert len(model.student.trainable_variables) == len(model.trainable_variables)


def test_squares_are_cut_at_the_same_place_of_photo_and_target_and_elsewhere_in_the_next() -> None:
    config = DistillConfig(image_size_px=64, crop_px=32, crop_until=1.0, batch_size=2)
    places = np.zeros((2, 64, 64, 3), np.float32)
    places[..., 0], places[..., 1] = np.arange(64)[:, None], np.arange(64)[None, :]
    corners = set()
    for step in range(20):
        photos, targets = step_pairs(places, -places, step, config)
        np.testing.assert_array_equal(photos, -targets)
        corners |= {tuple(photo[0, 0, :2]) for photo in photos}
    assert len(corners) > 8
    assert all(value % 8 == 0 for corner in corners for value in corner)


def test_the_teachers_images_stand_in_for_real_ones(tmp_path: Path) -> None:
    from compress.distill.training_data.pairs import Pairs, TargetImages

    targets = np.arange(6, dtype=np.uint8)[:, None, None, None] + np.zeros((6, 8, 8, 3), np.uint8)
    real = TargetImages(Pairs(np.zeros_like(targets), targets, np.array([1, 4])))
    assert len(real) == 2
    np.testing.assert_array_equal(real[np.array([1, 0])][:, 0, 0, 0], [4, 1])
