"""Students that make negatives, as files of 32x32 images with each kind of ends."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from export.calibration.observe import calibrate_and_quantize
from export.config import IoType
from export.graph.operations import Convolution, Graph
from export.parity import synthetic_photos
from export.tflite.emitter import float_file, int8_file


@pytest.fixture(scope="session")
def negative() -> Callable[[int, int], Graph]:
    """Make the graph of a photo's negative, of a height and a width."""

    def make(height: int, width: int) -> Graph:
        shape = (height, width, 3)
        step = Convolution(
            inputs=("image",),
            output="generated",
            shape=shape,
            kernel=-np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3),
            bias=np.zeros(3, np.float32),
            padding="same",
        )
        return Graph(input="image", output="generated", input_shape=shape, operations=(step,))

    return make


@pytest.fixture(scope="session")
def students(negative: Callable[[int, int], Graph], tmp_path_factory: pytest.TempPathFactory) -> Mapping[IoType, Path]:
    """A float file with floats for ends, and int8 files with either kind of integers."""
    graph, folder = negative(32, 32), tmp_path_factory.mktemp("students")
    quantized = calibrate_and_quantize(graph, synthetic_photos((32, 32), count=2, seed=0))
    contents: dict[IoType, bytes] = {
        "float": float_file(graph),
        "int8": int8_file(quantized, "int8"),
        "uint8": int8_file(quantized, "uint8"),
    }
    for io_type, content in contents.items():
        (folder / f"{io_type}.tflite").write_bytes(content)
    return {io_type: folder / f"{io_type}.tflite" for io_type in contents}
