"""Pixel shuffles written as convolutions give the same bits."""

import numpy as np
import pytest
from keras import layers

from compress.models.layers import DepthToSpace, SpaceToDepth
from export.graph.lower import lower
from export.graph.operations import DepthToSpace as DepthToSpaceOperation
from export.graph.operations import SpaceToDepth as SpaceToDepthOperation
from export.graph.shuffles import shuffles_as_convolutions
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
