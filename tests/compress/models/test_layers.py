"""Our own layers against NumPy."""

import numpy as np
import pytest

from compress.models.layers import DepthToSpace, InstanceNormalization, ReflectionPadding2D, SpaceToDepth


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(1, 2, (2, 8, 6, 4)).astype(np.float32)


def test_reflection_padding_is_numpys_reflect(features: np.ndarray) -> None:
    padded = ReflectionPadding2D(((1, 2), (3, 0)))(features)
    expected = np.pad(features, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(np.asarray(padded), expected)


def test_instance_normalization_leaves_each_channel_of_each_image_with_mean_0_and_variance_1(features) -> None:
    normalised = np.asarray(InstanceNormalization(epsilon=1e-8)(features))
    np.testing.assert_allclose(normalised.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.var(axis=(1, 2)), 1, atol=1e-4)


def test_space_to_depth_keeps_tflites_order_of_channels(features: np.ndarray) -> None:
    shuffled = np.asarray(SpaceToDepth(2)(features))
    for row in range(2):
        for column in range(2):
            block = (2 * row + column) * 4
            np.testing.assert_array_equal(shuffled[..., block : block + 4], features[:, row::2, column::2])


def test_depth_to_space_undoes_space_to_depth(features: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(DepthToSpace(2)(SpaceToDepth(2)(features))), features)


@pytest.mark.parametrize("layer", [ReflectionPadding2D(((1, 1), (2, 2))), SpaceToDepth(2), DepthToSpace(2)])
def test_a_layers_promised_shape_is_its_shape(layer, features: np.ndarray) -> None:
    assert tuple(layer.compute_output_shape(features.shape)) == tuple(layer(features).shape)
