"""Tiny models for a browser, and programs that stand in for one."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from export.calibration.observe import calibrate_and_quantize
from export.config import IoType
from export.graph.operations import Activate, Convolution, Graph
from export.parity import synthetic_photos
from export.tflite.emitter import float_file, int8_file

SIDE_PX = 16
FAKE_PAGE = Path(__file__).with_name("fake_page.py")


@pytest.fixture(scope="session")
def tanh_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model whose output anyone can compute."""
    shape = (SIDE_PX, SIDE_PX, 3)
    activate = Activate(inputs=("image",), output="out", shape=shape, function="tanh")
    path = tmp_path_factory.mktemp("tanh") / "tanh.tflite"
    path.write_bytes(float_file(Graph(input="image", output="out", input_shape=shape, operations=(activate,))))
    return path


@pytest.fixture(scope="session")
def student_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A student of two layers in int8, by its input and output type."""
    quantized = calibrate_and_quantize(_student(), synthetic_photos((SIDE_PX, SIDE_PX), count=2, seed=1))
    folder = tmp_path_factory.mktemp("students")
    paths: dict[str, Path] = {}
    for io_type in get_args(IoType):
        paths[io_type] = folder / f"{io_type}_student.tflite"
        paths[io_type].write_bytes(int8_file(quantized, io_type))
    return paths


def _student() -> Graph:
    random = np.random.default_rng(0)
    half = SIDE_PX // 2
    hidden = Convolution(
        inputs=("image",),
        output="hidden",
        shape=(half, half, 16),
        kernel=random.normal(0, 0.3, (3, 3, 3, 16)).astype(np.float32),
        bias=random.normal(0, 0.2, 16).astype(np.float32),
        strides=(2, 2),
        padding="same",
        activation="relu",
    )
    back = Convolution(
        inputs=("hidden",),
        output="picture",
        shape=(half, half, 3),
        kernel=random.normal(0, 0.2, (3, 3, 16, 3)).astype(np.float32),
        bias=np.zeros(3, np.float32),
        padding="same",
    )
    squash = Activate(inputs=("picture",), output="out", shape=(half, half, 3), function="tanh")
    return Graph(input="image", output="out", input_shape=(SIDE_PX, SIDE_PX, 3), operations=(hidden, back, squash))


@pytest.fixture
def fake_browser(tmp_path: Path) -> Callable[[str], Path]:
    """Make a program that is called like Chromium and does what `fake_page.py` says of `behaviour`."""

    def make(behaviour: str) -> Path:
        path = tmp_path / f"browser-{behaviour}"
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_PAGE}" {behaviour} "$@"\n')
        path.chmod(0o755)
        return path

    return make
