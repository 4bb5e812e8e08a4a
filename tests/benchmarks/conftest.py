"""Small `.tflite` files: chains of convolutions, wide, narrow, or with operators that XNNPACK leaves behind."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, convolution_chain: Callable[..., bytes]) -> Path:
    """A folder with `wide.tflite` (5.4 MB), `narrow.tflite`, `mirrored.tflite`, and `deep.tflite`, which does
    five times the work of `shallow.tflite`.
    """
    folder = tmp_path_factory.mktemp("models")
    (folder / "wide.tflite").write_bytes(convolution_chain(filters=384))
    (folder / "narrow.tflite").write_bytes(convolution_chain(filters=4))
    (folder / "deep.tflite").write_bytes(convolution_chain(filters=192, inner=5))
    (folder / "shallow.tflite").write_bytes(convolution_chain(filters=192))
    (folder / "mirrored.tflite").write_bytes(convolution_chain(filters=4, mirrored=True))
    return folder


@pytest.fixture(scope="session")
def students(tmp_path_factory: pytest.TempPathFactory, convolution_chain: Callable[..., bytes]) -> dict[str, Path]:
    """A `teacher` of 6 inner layers; a `student` of 3; as `slower` one of the student's name with 5 layers more.

    They take some milliseconds each, so that other work delays all of them alike.
    """
    files = {"teacher": ("teacher", 6), "student": ("student", 3), "slower": ("student", 8)}
    found = {}
    for key, (name, inner) in files.items():
        found[key] = tmp_path_factory.mktemp(key) / f"{name}.tflite"
        found[key].write_bytes(convolution_chain(filters=64, inner=inner))
    return found
