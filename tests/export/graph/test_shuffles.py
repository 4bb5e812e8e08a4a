"""Pixel shuffles written as convolutions give the same bits."""

import keras
import numpy as np
import pytest
from keras import layers

from compress.models.layers import DepthToSpace, SpaceToDepth
from export.graph.lower import lower
from export.graph.operations import DepthToSpace as DepthToSpaceOperation
from export.graph.operations import SpaceToDepth as SpaceToDepthOperation
from export.graph.operations import TransposedConvolution
from export.graph.shuffles import shuffles_as_convolutions, split_wide_shuffles
from export.interpreter.numpy_float import run_graph

SHAPE = (12, 8, 3)


@pytest.mark.parametrize("block", [2, 4])
def test_shuffles_as_convolutions_are_exact(chain, block: int):
    model = chain(
        [SpaceToDepth(block), layers.Conv2D(5 * block**2, 3, padding="same"), DepthToSpace(block), layers.Conv2D(3, 1)],
        SHAPE,
    )
    graph = lower(model, input_shape=SHAPE)
    rewritten = shuffles_as_convolutions(graph)
    assert not any(isinstance(one, SpaceToDepthOperation | DepthToSpaceOperation) for one in rewritten.operations)
    assert rewritten.shapes == graph.shapes
    images = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    np.testing.assert_array_equal(run_graph(rewritten, images), run_graph(graph, images))


def test_a_wide_shuffle_is_done_in_parts_that_share_one_kernel_with_the_same_pixels(chain):
    model = chain([layers.Conv2D(4 * 48, 1, activation="relu"), DepthToSpace(2), layers.Conv2D(3, 1)], SHAPE)
    graph = lower(model, input_shape=SHAPE)
    rewritten = shuffles_as_convolutions(split_wide_shuffles(graph))
    kernels = [one.kernel for one in rewritten.operations if isinstance(one, TransposedConvolution)]
    assert [kernel.shape for kernel in kernels] == 2 * [(2, 2, 24, 96)]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    images = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(run_graph(rewritten, images), run_graph(graph, images), atol=1e-6)


def test_a_shuffle_whose_input_is_read_elsewhere_stays_whole(chain):
    narrow = lower(chain([layers.Conv2D(4 * 24, 1), DepthToSpace(2), layers.Conv2D(3, 1)], SHAPE), input_shape=SHAPE)
    assert split_wide_shuffles(narrow).operations == narrow.operations
    image = keras.Input(SHAPE)
    features = layers.Conv2D(4 * 48, 1)(image)
    both = layers.Concatenate()([DepthToSpace(2)(features), layers.UpSampling2D(2)(layers.Conv2D(8, 1)(features))])
    shared = lower(keras.Model(image, layers.Conv2D(3, 1)(both)), input_shape=SHAPE)
    assert split_wide_shuffles(shared).operations == shared.operations
