"""A phone's output against this machine's, in steps."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.android.parity import HostOutput
from compress.images import read_image
from export.interpreter.litert import TfliteGenerator


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def output(models: Path, photo: Path) -> np.ndarray:
    return TfliteGenerator.open(models / "narrow.tflite").run(read_image(photo, (32, 32))).copy()


def test_the_same_output_differs_by_nothing(models: Path, photo: Path, output: np.ndarray) -> None:
    compared = HostOutput(models / "narrow.tflite", photo)
    assert compared.shape == (1, 32, 32, 3)
    assert compared.input.dtype == np.float32
    found = compared.compare(output.tobytes())
    assert (found.largest_step, found.share_within_a_step) == (0.0, 1.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_an_output_that_is_no_number_has_no_largest_step(
    models: Path, photo: Path, output: np.ndarray, broken: float
) -> None:
    output[0, 0, 0] = broken
    found = HostOutput(models / "narrow.tflite", photo).compare(output.tobytes())
    assert found.largest_step is None
    assert found.share_within_a_step == pytest.approx(3071 / 3072)


def test_an_output_of_another_length_is_refused(models: Path, photo: Path) -> None:
    with pytest.raises(ValueError, match="wrote 7 bytes, expected 12288"):
        HostOutput(models / "narrow.tflite", photo).compare(b"7 bytes")
