"""Small `.tflite` files: chains of convolutions, wide, narrow, or with operators that XNNPACK leaves behind."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from export.graph import Convolution, Graph, Operation, Pad
from export.tflite import float_file

SIDE = 32


def convolutions(*, filters: int, mirrored: bool) -> Graph:
    """Three 3x3 convolutions from and to an image; `mirrored` pads each by reflection."""
    generator = np.random.default_rng(0)
    channels = [3, filters, filters, 3]
    operations: list[Operation] = []
    last = "image"
    for number, (before, after) in enumerate(pairwise(channels)):
        if mirrored:
            shape = (SIDE + 2, SIDE + 2, before)
            pad = Pad(inputs=(last,), output=f"p{number}", shape=shape, margins=((1, 1), (1, 1)), mode="reflect")
            operations.append(pad)
            last = pad.output
        convolution = Convolution(
            inputs=(last,),
            output=f"c{number}",
            shape=(SIDE, SIDE, after),
            kernel=generator.normal(0, 0.1, (3, 3, before, after)).astype(np.float32),
            bias=np.zeros(after, np.float32),
            padding="valid" if mirrored else "same",
            activation="relu" if number < 2 else "none",
        )
        operations.append(convolution)
        last = convolution.output
    return Graph(input="image", output=last, input_shape=(SIDE, SIDE, 3), operations=tuple(operations))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `wide.tflite` (5.4 MB), `narrow.tflite` and `mirrored.tflite`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "wide.tflite").write_bytes(float_file(convolutions(filters=384, mirrored=False)))
    (folder / "narrow.tflite").write_bytes(float_file(convolutions(filters=4, mirrored=False)))
    (folder / "mirrored.tflite").write_bytes(float_file(convolutions(filters=4, mirrored=True)))
    return folder
