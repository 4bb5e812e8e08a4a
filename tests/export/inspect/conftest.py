"""Small `.tflite` files: chains of convolutions, wide, narrow, or with an operator that XNNPACK does not take."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from export.graph.operations import Convolution, Graph, Operation, Pad
from export.tflite.emitter import float_file

SIDE_PX = 32


def _convolutions(*, filters: int, mirrored: bool = False) -> Graph:
    """Three 3x3 convolutions from and to an image; `mirrored` pads each by reflection."""
    random = np.random.default_rng(0)
    operations: list[Operation] = []
    last = "image"
    for number, (before, after) in enumerate(pairwise([3, filters, filters, 3])):
        if mirrored:
            shape = (SIDE_PX + 2, SIDE_PX + 2, before)
            pad = Pad(inputs=(last,), output=f"p{number}", shape=shape, margins=((1, 1), (1, 1)), mode="reflect")
            operations.append(pad)
            last = pad.output
        convolution = Convolution(
            inputs=(last,),
            output=f"c{number}",
            shape=(SIDE_PX, SIDE_PX, after),
            kernel=random.normal(0, 0.1, (3, 3, before, after)).astype(np.float32),
            bias=np.zeros(after, np.float32),
            padding="valid" if mirrored else "same",
        )
        operations.append(convolution)
        last = convolution.output
    return Graph(input="image", output=last, input_shape=(SIDE_PX, SIDE_PX, 3), operations=tuple(operations))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `wide.tflite` (5.4 MB), `narrow.tflite` and `mirrored.tflite`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "wide.tflite").write_bytes(float_file(_convolutions(filters=384)))
    (folder / "narrow.tflite").write_bytes(float_file(_convolutions(filters=4)))
    (folder / "mirrored.tflite").write_bytes(float_file(_convolutions(filters=4, mirrored=True)))
    return folder
