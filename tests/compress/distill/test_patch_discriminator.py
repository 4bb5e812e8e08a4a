"""The discriminator: each side is moved by its own loss alone, at its own time, unless it overpowers the student."""

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress.distill import distiller
from compress.distill.config import DistillConfig
from compress.distill.discriminators.patch import INPUTS, PatchDiscriminator
from compress.distill.step_inputs import step_inputs
from compress.distill.training_data.real_images import list_real_images, load_real_images
from compress.errors import UnusableData
from compress.models import pocket_generator
from compress.models.pocket_generator import PocketConfig

CONFIG = DistillConfig(
    image_size_px=32, width=8, blocks=1, batch_size=2, steps=10, adversarial_weight=3.0, discriminator="patch",
    discriminator_filters=4, adversarial_from_step=4, precision="float32",
)  # fmt: skip
RANDOM = np.random.default_rng(0)
REAL = RANDOM.integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
PHOTOS, FAKES, TARGETS = (RANDOM.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32) for _ in range(3))


def _inputs(step: int) -> dict[str, np.ndarray]:
    inputs = step_inputs(PHOTOS, step, CONFIG, REAL)
    assert isinstance(inputs, dict)
    return inputs


def _discriminator(kind: str = "lsgan", **weights: float) -> PatchDiscriminator:
    keras.utils.set_random_seed(0)
    config = DistillConfig(
        image_size_px=32, adversarial_weight=3.0, discriminator="patch", discriminator_filters=4,
        adversarial_loss=kind, **weights,  # pyright: ignore[reportArgumentType]
    )  # fmt: skip
    discriminator = PatchDiscriminator(config, 32, 2)
    for variable in discriminator.network.trainable_variables:
        # The published deviation of 0.02 gives every image nearly the same score.
        variable.assign(10 * variable)
    return discriminator


def _slopes(tape: tf.GradientTape, loss: Any, sources: list[Any]) -> list[np.ndarray]:
    return [np.asarray(slope) for slope in tape.gradient(loss, sources)]


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_each_side_is_moved_by_its_own_loss_alone(kind: str) -> None:
    discriminator, fake, inputs = _discriminator(kind), tf.constant(FAKES), _inputs(4)
    variables = [variable.value for variable in discriminator.network.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(fake)
        total, logged = discriminator.compute_losses([(fake, TARGETS)], inputs)
        scores, scores_real = discriminator.network(fake), discriminator.network(inputs["real"])
        if kind == "lsgan":
            generator_loss = tf.reduce_mean((scores - 1) ** 2)
            own_loss = (tf.reduce_mean((scores_real - 1) ** 2) + tf.reduce_mean(scores**2)) / 2
        else:
            generator_loss = -tf.reduce_mean(scores)
            own_loss = (tf.reduce_mean(tf.nn.relu(1 - scores_real)) + tf.reduce_mean(tf.nn.relu(1 + scores))) / 2
        weighted = 3 * generator_loss
    assert float(total) == pytest.approx(3 * float(generator_loss) + float(own_loss), rel=1e-4)
    assert float(logged["discriminator_held"]) == 0
    for found, expected in zip(
        [*_slopes(tape, total, [fake]), *_slopes(tape, total, variables)],
        [*_slopes(tape, weighted, [fake]), *_slopes(tape, own_loss, variables)],
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_a_discriminator_that_overpowers_the_student_is_held_back_and_still_scores() -> None:
    discriminator, fake, inputs = _discriminator(), tf.constant(FAKES), _inputs(4)
    variables = [variable.value for variable in discriminator.network.trainable_variables]
    _, logged = discriminator.compute_losses([(fake, TARGETS)], inputs)
    discriminator._hold_below = float(logged["discriminator"]) * 1.01
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(fake)
        total, logged = discriminator.compute_losses([(fake, TARGETS)], inputs)
    assert float(logged["discriminator_held"]) == 1
    assert not any(slope.any() for slope in _slopes(tape, total, variables))
    assert _slopes(tape, total, [fake])[0].any()


def test_what_the_discriminator_makes_of_both_images_is_matched_layer_by_layer() -> None:
    discriminator, fake, inputs = _discriminator(matching_weight=2.0), tf.constant(FAKES), _inputs(4)
    inside = [layer.output for layer in discriminator.network.layers if isinstance(layer, keras.layers.LeakyReLU)]
    features = keras.Model(discriminator.network.inputs[0], inside)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        total, logged = discriminator.compute_losses([(fake, TARGETS)], inputs)
        matched = total - 3 * logged["adversarial"] - logged["discriminator"]
    seen = zip(features(FAKES, training=True), features(TARGETS, training=True), strict=True)
    differences = [np.abs(np.asarray(one) - np.asarray(other)).mean() for one, other in seen]
    assert len(differences) == 4
    assert float(matched) == pytest.approx(2 * np.mean(differences), rel=1e-4)
    assert _slopes(tape, matched, [fake])[0].any()
    assert float(discriminator.compute_losses([(TARGETS, TARGETS)], inputs)[1]["matching"]) == pytest.approx(
        0, abs=1e-6
    )


def test_the_share_of_an_undecided_discriminators_loss_is_what_holds_it() -> None:
    config = DistillConfig(
        image_size_px=32,
        adversarial_weight=1.0,
        discriminator="patch",
        discriminator_filters=4,
        discriminator_hold_ratio=0.4,
    )
    assert PatchDiscriminator(config, 32, 2)._hold_below == pytest.approx(0.4 * 0.25)


@pytest.mark.filterwarnings("error")
def test_the_discriminator_rests_until_its_time_and_then_learns(eagerly: None) -> None:
    keras.utils.set_random_seed(0)
    student = pocket_generator.build_student(PocketConfig(image_size_px=32, width=8, blocks=1))
    model = distiller.compile_distiller(student, CONFIG)
    assert model.discriminator is not None
    begun = [np.asarray(variable) for variable in model.discriminator.network.get_weights()]
    for step in (3, 4):
        assert set(INPUTS) <= set(_inputs(step)) if step == 4 else not set(INPUTS) & set(_inputs(step))
        logged = model.train_on_batch(_inputs(step), FAKES, return_dict=True)
        moved = [
            np.abs(now - one).max() for now, one in zip(model.discriminator.network.get_weights(), begun, strict=True)
        ]
        kept = np.asarray(model.discriminator.pool.images)
        if step == 3:
            assert max(moved) == 0 == np.abs(kept).max()
            assert logged["adversarial"] == 0
        else:
            assert min(moved) > 0
            assert [np.any(image) for image in kept[:3]] == [True, True, False]
            assert logged["discriminator"] > 0


def test_the_discriminator_moves_at_its_own_rate_and_the_student_at_its_own(eagerly: None) -> None:
    student = pocket_generator.build_student(PocketConfig(image_size_px=32, width=8, blocks=1))
    model = distiller.compile_distiller(
        student, dataclasses.replace(CONFIG, learning_rate=1e-3, discriminator_learning_rate=1e-5)
    )
    assert model.discriminator is not None
    sides = (model.discriminator.network, student)
    begun = [[np.asarray(one) for one in side.trainable_variables] for side in sides]
    model.train_on_batch(_inputs(4), FAKES)
    for side, before, rate in zip(sides, begun, (1e-5, 1e-3), strict=True):
        moved = [np.abs(now - one).max() for now, one in zip(side.trainable_variables, before, strict=True)]
        # Adam's first step is the learning rate, whatever the gradient.
        assert max(moved) == pytest.approx(rate, rel=0.01)


def test_what_a_step_sees_depends_on_its_phase_and_number_alone() -> None:
    plain = DistillConfig(image_size_px=32)
    assert step_inputs(PHOTOS, 9, plain, None) is PHOTOS
    assert set(_inputs(3)) == {"photos", "l1_scale"}
    first, again, later = _inputs(5), _inputs(5), _inputs(6)
    for name in ("photos", "l1_scale", *INPUTS):
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["real"], later["real"])
    assert first["real"].dtype == np.float32
    assert np.abs(first["real"]).max() <= 1


def test_a_discriminator_of_squares_sees_squares_of_real_and_fake_images(eagerly: None) -> None:
    keras.utils.set_random_seed(0)
    config = dataclasses.replace(CONFIG, image_size_px=40, discriminator_crop_px=32, adversarial_from_step=0)
    real, photos = RANDOM.integers(0, 256, (5, 40, 40, 3)).astype(np.uint8), np.zeros((2, 40, 40, 3), np.float32)
    model = distiller.compile_distiller(pocket_generator.build_student(config), config)
    assert model.discriminator is not None
    fake = np.asarray(model.student(photos, training=True))
    inputs = step_inputs(photos, 0, config, real)
    assert isinstance(inputs, dict)
    model.train_on_batch(inputs, photos)
    top, left = inputs["cut"]
    np.testing.assert_allclose(
        model.discriminator.pool.images[:2], fake[:, top : top + 32, left : left + 32], atol=1e-5
    )
    for square in inputs["real"]:
        windows = np.lib.stride_tricks.sliding_window_view(real / 127.5 - 1, (32, 32, 3), axis=(1, 2, 3))
        assert (
            min(
                np.abs(windows - square).max((-1, -2, -3)).min(),
                np.abs(windows - square[:, ::-1]).max((-1, -2, -3)).min(),
            )
            < 1e-6
        )


def test_squares_lie_elsewhere_at_each_step_and_come_without_a_discriminator() -> None:
    config = DistillConfig(image_size_px=48, discriminator_crop_px=32)
    steps = [step_inputs(np.zeros((2, 48, 48, 3), np.float32), step, config, None) for step in range(200)]
    assert all(set(step) == {"photos", "l1_scale", "cut"} and step["l1_scale"] == 1 for step in steps)
    corners = np.stack([step["cut"] for step in steps])
    assert (corners.min(0) == 0).all()
    assert (corners.max(0) == 16).all()


def test_the_share_of_l1_changes_at_the_turn() -> None:
    config = DistillConfig(image_size_px=32, steps=10, adversarial_from_step=0.5, l1_final_scale=0.1)
    shares = [step_inputs(PHOTOS, step, config, None)["l1_scale"].item() for step in (0, 4, 5, 9)]
    assert shares == pytest.approx([1, 1, 0.1, 0.1])


@pytest.mark.parametrize(("domain", "folder"), [("A", "trainB"), ("B", "trainA")])
def test_real_images_are_those_of_the_other_domain(
    domain: str, folder: str, photo_folders: Path, tmp_path: Path
) -> None:
    config = DistillConfig(domain=domain, image_size_px=32, adversarial_weight=1.0)  # pyright: ignore[reportArgumentType]
    paths = list_real_images(photo_folders, config.domain, config)
    assert {path.parent.name for path in paths} == {folder}
    pixels = load_real_images(paths, tmp_path / "real.npy", 32)
    assert pixels is not None
    assert pixels.shape == (12, 32, 32, 3)


def test_without_a_discriminator_no_real_images_are_asked_for(tmp_path: Path) -> None:
    assert list_real_images(tmp_path / "nowhere", "A", DistillConfig()) == []
    assert load_real_images([], tmp_path / "real.npy", 32) is None


def test_without_real_images_or_one_target_domain_there_are_none(photo_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "trainA").symlink_to(photo_folders / "trainA")
    assert list_real_images(tmp_path, "A", CONFIG) == []
    assert list_real_images(photo_folders, "both", CONFIG) == []


def test_an_empty_folder_of_real_images_is_named(photo_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "trainB").mkdir()
    with pytest.raises(UnusableData, match="trainB"):
        list_real_images(tmp_path, "A", CONFIG)
