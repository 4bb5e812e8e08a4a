"""Every pass, alone and after those before it, leaves the picture as it is."""

import numpy as np
import pytest
from keras import layers

from compress.images import to_float
from compress.models.layers import ReflectionPadding2D
from export.graph import lower as lowering
from export.graph.operations import OUTPUT, Graph
from export.graph.passes import GENERAL, TFLITE, Pass, apply_passes, mixed_precision
from export.interpreter.numpy_float import run_graph

EVERY = (*GENERAL, *TFLITE, *mixed_precision({OUTPUT}))


@pytest.fixture
def raw(chain, monkeypatch: pytest.MonkeyPatch) -> Graph:
    """A generator that every pass finds something in, lowered without passes."""
    row = [
        ReflectionPadding2D(((1, 1), (1, 1))),
        layers.Conv2D(4, 3),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.ZeroPadding2D(((1, 1), (1, 1))),
        layers.Conv2D(3, 3),
        layers.Conv2D(3, 1, kernel_initializer="zeros", name="identity"),
    ]
    model = chain(row, (32, 32, 3))
    model.get_layer("identity").set_weights([np.eye(3).reshape(1, 1, 3, 3) + 0.01, np.zeros(3)])
    monkeypatch.setattr(lowering, "GENERAL", ())
    return lowering.lower(model, input_shape=(32, 32, 3))


def _picture(graph: Graph, photos: list[np.ndarray]) -> np.ndarray:
    return run_graph(graph, to_float(photos[0])[np.newaxis])


@pytest.mark.parametrize("rewrite", EVERY)
def test_a_pass_alone_leaves_the_picture_as_it_is(raw: Graph, photos, rewrite: Pass) -> None:
    np.testing.assert_allclose(_picture(rewrite(raw), photos), _picture(raw, photos), atol=1e-5)


@pytest.mark.parametrize("count", range(len(EVERY)))
def test_each_pass_rewrites_what_those_before_it_leave_and_not_the_picture(raw: Graph, photos, count: int) -> None:
    before = apply_passes(raw, EVERY[:count])
    after = EVERY[count](before)
    assert _told(after) != _told(before)
    np.testing.assert_allclose(_picture(after, photos), _picture(raw, photos), atol=1e-5)


def _told(graph: Graph) -> list[object]:
    """Everything about a graph that a pass may change, but for the values of weights."""
    return [
        (type(operation), operation.inputs, operation.output, *_fields(operation)) for operation in graph.operations
    ]


def _fields(operation: object) -> list[object]:
    return [value.dtype if isinstance(value, np.ndarray) else value for value in vars(operation).values()]
