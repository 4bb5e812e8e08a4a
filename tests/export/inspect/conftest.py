"""Small `.tflite` files: chains of convolutions, wide, narrow, or with an operator that XNNPACK does not take."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, convolution_chain: Callable[..., bytes]) -> Path:
    """A folder with `wide.tflite` (5.4 MB), `narrow.tflite` and `mirrored.tflite`."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "wide.tflite").write_bytes(convolution_chain(filters=384))
    (folder / "narrow.tflite").write_bytes(convolution_chain(filters=4))
    (folder / "mirrored.tflite").write_bytes(convolution_chain(filters=4, mirrored=True))
    return folder
