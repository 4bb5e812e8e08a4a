"""Models that do what can be told by eye: nothing, or the negative; as `.tflite` files of 64x64 images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress.artifact import Cost, ImageSpec, Manifest, write_manifest
from compress.faces.template import AlignmentTemplate, record_template
from compress.files.atomic import atomic_dir
from export.graph.operations import Convolution, Graph
from export.tflite.emitter import float_file

SIDE = 64


def _scaling(factor: float) -> bytes:
    kernel = factor * np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    shape = (SIDE, SIDE, 3)
    step = Convolution(
        inputs=("image",), output="out", shape=shape, kernel=kernel, bias=np.zeros(3, np.float32), padding="same"
    )
    return float_file(Graph(input="image", output="out", input_shape=shape, operations=(step,)))


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that returns the photo."""
    path = tmp_path_factory.mktemp("identity") / "identity.tflite"
    path.write_bytes(_scaling(1.0))
    return path


@pytest.fixture(scope="session")
def negative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that returns the photo's negative."""
    path = tmp_path_factory.mktemp("negative") / "negative.tflite"
    path.write_bytes(_scaling(-1.0))
    return path


@pytest.fixture
def as_student(negative: Path, tmp_path: Path) -> Callable[[AlignmentTemplate | None], Path]:
    """Write the negative as an export whose manifest records a template."""

    def write(template: AlignmentTemplate | None) -> Path:
        with atomic_dir(tmp_path / "student") as scratch:
            (scratch / "model.tflite").write_bytes(negative.read_bytes())
            manifest = Manifest(
                name="student",
                format="tflite",
                stage="export",
                parent=None,
                input=ImageSpec(shape=(SIDE, SIDE, 3)),
                cost=Cost(params=12, macs=None, size_bytes=1),
                config=record_template(template),
            )
            write_manifest(scratch, manifest)
        return tmp_path / "student"

    return write


@pytest.fixture
def portrait(draw_face: Callable[[int], np.ndarray]) -> np.ndarray:
    """A drawn face of 160 pixels at (100, 20) in a photo of 320x240 with noise around it."""
    photo = np.random.default_rng(0).integers(100, 140, (240, 320, 3), dtype=np.uint8)
    photo[20:180, 100:260] = draw_face(160)
    return photo
