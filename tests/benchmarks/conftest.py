"""Small `.tflite` files: chains of convolutions, wide, narrow, or with operators that XNNPACK leaves behind."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from export.graph.operations import Convolution, Graph, Operation, Pad
from export.tflite.emitter import float_file

SIDE = 32


def convolutions(*, filters: int, mirrored: bool = False, inner: int = 1) -> Graph:
    """3x3 convolutions from and to an image, `inner` of them between `filters`; `mirrored` pads each by reflection."""
    generator = np.random.default_rng(0)
    channels = [3, *[filters] * (inner + 1), 3]
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
            activation="relu" if number <= inner else "none",
        )
        operations.append(convolution)
        last = convolution.output
    return Graph(input="image", output=last, input_shape=(SIDE, SIDE, 3), operations=tuple(operations))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `wide.tflite` (5.4 MB), `narrow.tflite`, `mirrored.tflite`, and `deep.tflite`, which does
    five times the work of `shallow.tflite`.
    """
    folder = tmp_path_factory.mktemp("models")
    (folder / "wide.tflite").write_bytes(float_file(convolutions(filters=384)))
    (folder / "narrow.tflite").write_bytes(float_file(convolutions(filters=4)))
    (folder / "deep.tflite").write_bytes(float_file(convolutions(filters=192, inner=5)))
    (folder / "shallow.tflite").write_bytes(float_file(convolutions(filters=192)))
    (folder / "mirrored.tflite").write_bytes(float_file(convolutions(filters=4, mirrored=True)))
    return folder


@pytest.fixture(scope="session")
def students(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A `teacher` of 6 inner layers; a `student` of 3; as `slower` one of the student's name with 5 layers more.

    They take some milliseconds each, so that other work delays all of them alike.
    """
    files = {"teacher": ("teacher", 6), "student": ("student", 3), "slower": ("student", 8)}
    found = {}
    for key, (name, inner) in files.items():
        found[key] = tmp_path_factory.mktemp(key) / f"{name}.tflite"
        found[key].write_bytes(float_file(convolutions(filters=64, inner=inner)))
    return found
