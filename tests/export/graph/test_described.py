"""A description is lowered to the graph that Keras's layers give, operation for operation: files keep their bytes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from compress import teachers
from compress.errors import UnsupportedLayer, UsageError
from compress.models import layers as pocket
from compress.models import pocket_generator
from compress.models.pocket.config import PocketConfig
from compress.teachers import read
from compress.teachers.build import build_generator
from compress.teachers.description import GeneratorDescription
from export.graph.described import lower_description
from export.graph.lower import lower
from export.graph.operations import Graph

SIDE = 32
ROWS: dict[str, Callable[[], list[Any]]] = {
    "norms": lambda: [
        layers.Conv2D(8, 3, padding="same"), pocket.InstanceNormalization(), layers.ReLU(max_value=6.0),
        layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.LeakyReLU(0.2),
        pocket.ContribInstanceNormalization(per_channel=False), layers.Conv2D(3, 1, activation="tanh"),
    ],
    "borders": lambda: [
        pocket.ReflectionPadding2D(((3, 3), (3, 3))), layers.Conv2D(8, 7),
        pocket.ReplicationPadding2D(((1, 1), (1, 1))),
        layers.Conv2D(8, 3), layers.ZeroPadding2D(1), layers.Conv2D(8, 3, strides=2), layers.Conv2DTranspose(4, 3, 2),
        layers.Cropping2D(((1, 0), (1, 0))), layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(3, 1),
    ],
    "resizing": lambda: [
        pocket.SpaceToDepth(2), layers.SeparableConv2D(16, 3, padding="same"), layers.AveragePooling2D(2),
        layers.UpSampling2D(2, interpolation="bilinear"), layers.MaxPooling2D(2), layers.UpSampling2D(2),
        layers.Conv2D(12, 3, padding="same"), pocket.DepthToSpace(2), layers.Activation("sigmoid"),
    ],
}  # fmt: skip


def _content(graph: Graph) -> list[Any]:
    """Everything that a graph holds, arrays as bytes."""
    return [
        (type(operation).__name__, sorted((name, _plain(value)) for name, value in vars(operation).items()))
        for operation in graph.operations
    ]


def _plain(value: Any) -> Any:
    return (str(value.dtype), value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)


def _describe(model: keras.Model, folder: Path) -> GeneratorDescription:
    model.save(folder / "model.keras")
    return read.describe(folder / "model.keras")


@pytest.mark.parametrize("family", ["pixel_shuffle", "unet"])
@pytest.mark.parametrize("context", [False, True])
def test_a_student_is_lowered_as_keras_walks_it(family, context, tmp_path) -> None:
    config = PocketConfig(family=family, width=16, blocks=2, image_size_px=SIDE, context=context)
    model = pocket_generator.build_student(config)
    graph = lower_description(_describe(model, tmp_path), input_shape=(SIDE, SIDE, 3))
    assert _content(graph) == _content(lower(model, input_shape=(SIDE, SIDE, 3)))


@pytest.mark.parametrize("row", ROWS)
def test_every_kind_of_layer_is_lowered_alike(row, chain, tmp_path) -> None:
    model = chain(ROWS[row](), (SIDE, SIDE, 3))
    graph = lower_description(_describe(model, tmp_path), input_shape=(SIDE, SIDE, 3))
    assert _content(graph) == _content(lower(model, input_shape=(SIDE, SIDE, 3)))


def test_a_teacher_is_lowered_at_any_size(teacher_file) -> None:
    description = teachers.describe(teacher_file)
    model = build_generator(description)
    for shape in ((32, 32, 3), (48, 40, 3)):
        assert _content(lower_description(description, input_shape=shape)) == _content(lower(model, input_shape=shape))


def test_what_no_file_can_hold_is_named(chain, tmp_path) -> None:
    description = _describe(chain([layers.PReLU(), layers.Conv2D(3, 1)], (8, 8, 3)), tmp_path)
    with pytest.raises(UnsupportedLayer, match=r"\(PReLU\) cannot be expressed in a phone's file; use LeakyReLU"):
        lower_description(description, input_shape=(8, 8, 3))


def test_another_size_is_refused(chain, tmp_path) -> None:
    description = replace(_describe(chain([layers.Conv2D(3, 1)], (8, 8, 3)), tmp_path))
    with pytest.raises(UsageError, match="takes images of"):
        lower_description(description, input_shape=(16, 16, 3))
