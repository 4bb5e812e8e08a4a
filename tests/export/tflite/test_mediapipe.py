"""MediaPipe's own Python package runs the file of its target and gives our pixels.

MediaPipe has an environment of its own, whose Python the variable `POCKETGAN_MEDIAPIPE` names (`uv venv DIR`, then
`uv pip install --python DIR/bin/python mediapipe`). An image segmenter runs any file that takes and returns an image,
and returns each channel as a mask.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from export.config import TfliteConfig
from export.interpreter.litert import TfliteGenerator
from export.tflite.stage import export_tflite

_PYTHON = os.environ.get("POCKETGAN_MEDIAPIPE", "")
_CHILD = Path(__file__).with_name("mediapipe_segmenter.py")


@pytest.mark.skipif(not Path(_PYTHON).is_file(), reason="POCKETGAN_MEDIAPIPE names no Python that has MediaPipe")
@pytest.mark.parametrize("io_type", ["float", "uint8"])
def test_mediapipe_gives_our_pixels(small_artifact, photo_folder, photos, tmp_path, io_type):
    ends = {"io_type": "uint8", "precision": "int8", "data": photo_folder} if io_type == "uint8" else {}
    exported = export_tflite(small_artifact, TfliteConfig(target="mediapipe", **ends), tmp_path / "out")
    np.save(tmp_path / "photo.npy", photos[0])
    command = [_PYTHON, str(_CHILD), *map(str, (exported.model_path, tmp_path / "photo.npy", tmp_path / "masks.npy"))]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-2000:]
    made = TfliteGenerator(exported.model_path.read_bytes()).run(photos[0])
    ours = made / 255 if io_type == "uint8" else made
    # Of a float file another build of XNNPACK may order its sums in another way.
    np.testing.assert_allclose(np.load(tmp_path / "masks.npy"), ours, atol=1e-5)
