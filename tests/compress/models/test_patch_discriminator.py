"""The discriminator: what one of its scores sees, how large it is, and how steep a discriminator may be."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from compress.models import patch_discriminator
from compress.models.spectral_conv import SpectralConv2D
from compress.training.precision import Policy, dtype_policy_scope


def test_a_score_sees_70x70_pixels() -> None:
    # BatchNorm outside training mixes no pixels; InstanceNorm would let every score see a bit of everything.
    discriminator = patch_discriminator.build_discriminator(filters=4, normalization="batch")
    photos = tf.constant(np.random.default_rng(0).uniform(-1, 1, (1, 160, 160, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(photos)
        score = discriminator(photos, training=False)[0, 9, 9, 0]
    seen = np.abs(np.asarray(tape.gradient(score, photos))[0]).sum(axis=2) > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (70, 70)


@pytest.mark.parametrize(("size", "scores"), [((32, 32), (2, 2)), ((64, 48), (6, 4)), ((256, 256), (30, 30))])
def test_there_is_a_score_for_each_patch(size: tuple[int, int], scores: tuple[int, int]) -> None:
    discriminator = patch_discriminator.build_discriminator(filters=4)
    assert discriminator(np.zeros((2, *size, 3), np.float32)).shape == (2, *scores, 1)


def test_the_published_discriminator_has_the_published_number_of_parameters() -> None:
    convolutions = [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1)]
    norms = [128, 256, 512]
    expected = sum(4 * 4 * inputs * outputs + outputs for inputs, outputs in convolutions) + 2 * sum(norms)
    assert expected == 2_766_529
    assert patch_discriminator.build_discriminator().count_params() == expected


def test_a_discriminator_has_no_norm() -> None:
    discriminator = patch_discriminator.build_discriminator(filters=4, spectral=True)
    kinds = [type(layer).__name__ for layer in discriminator.layers]
    assert kinds.count("SpectralConv2D") == 5
    assert not any("Normalization" in kind for kind in kinds)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 3e-2)])
def test_a_critics_kernel_is_divided_by_its_largest_singular_value(precision: Policy, tolerance: float) -> None:
    keras.utils.set_random_seed(0)
    features = np.random.default_rng(0).normal(size=(1, 8, 8, 6)).astype(np.float32)
    with dtype_policy_scope(precision):
        layer = SpectralConv2D(5, 4, 1)
    for _ in range(199):
        layer(features, training=True)
    convolved = layer(features, training=True)
    kernel = np.asarray(layer.kernel)
    largest = np.linalg.svd(kernel.reshape(-1, 5), compute_uv=False)[0]
    expected = np.asarray(keras.ops.conv(features, kernel / largest))
    np.testing.assert_allclose(np.asarray(convolved, np.float32), expected, atol=tolerance)


def test_using_a_discriminator_moves_none_of_its_trained_weights() -> None:
    discriminator = patch_discriminator.build_discriminator(filters=4, spectral=True)
    before = [np.array(weight) for weight in discriminator.trainable_variables]
    photos = np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    first, later = (np.asarray(discriminator(photos, training=True)) for _ in range(2))
    for one, other in zip(before, discriminator.trainable_variables, strict=True):
        np.testing.assert_array_equal(np.array(other), one)
    # The estimate of the singular values does get better.
    assert not np.array_equal(first, later)
