"""`compress distill` with a discriminator, as a user runs it, killed while the discriminator learns."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from compress import teachers

FLAGS = {
    "--image-size-px": 40,
    "--width": 8,
    "--blocks": 1,
    "--steps": 6,
    "--batch-size": 2,
    "--adversarial-weight": 1,
    "--adversarial-from-step": 1,
    "--discriminator-filters": 4,
    "--crop-px": 32,
    "--crop-until": 0.5,
    "--augment": "occluders",
    "--l1-final-scale": 0.1,
    "--ssim-weight": 0,
    "--gradient-weight": 0,
    "--ema-momentum": 0.5,
    "--sample-every": 3,
    "--checkpoint-every": 1,
    "--precision": "float32",
}

# Compiling the steps would take longer than running them. The small pool is full, and shows old images, by the kill.
_EAGER = """
import runpy
import tensorflow
from compress.distill.discriminators import patch as discriminator
tensorflow.config.run_functions_eagerly(True)
discriminator._POOL_SIZE = 2
runpy.run_module("compress", run_name="__main__", alter_sys=True)
"""


def _start(teacher: Path, data: Path, out: Path, kind: str) -> subprocess.Popen[str]:
    flags = [str(part) for flag in [*FLAGS.items(), ("--discriminator", kind)] for part in flag]
    line = ["distill", "--teacher", str(teacher), "--data", str(data), "--out", str(out), *flags]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _EAGER, *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "POCKETGAN_CACHE": str(out.parent / "cache")},
    )


def _finish(run: subprocess.Popen[str]) -> None:
    _, message = run.communicate()
    assert run.returncode == 0, message


def _checkpoint(out: Path) -> dict[str, np.ndarray]:
    path = out.with_name(f"{out.name}.training") / "checkpoint.npz"
    if not path.exists():
        return {"step": np.array(0)}
    with np.load(path) as stored:
        return dict(stored)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["patch", "projected"])
def test_a_run_killed_while_its_discriminator_learns_ends_like_one_that_never_was(
    kind: str, teacher_file: Path, photo_folders: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _finish(_start(teacher_file, photo_folders, whole, kind))
    run = _start(teacher_file, photo_folders, killed, kind)
    while _checkpoint(killed)["step"] < 3:
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.02)
    run.kill()
    run.communicate()
    stored = _checkpoint(killed)
    assert 3 <= stored["step"] < 6, "the run ended before it could be killed"
    # The pool, two images of 40x40 pixels, and it holds something.
    pools = [np.any(value) for value in stored.values() if value.shape == (2, 40, 40, 3)]
    assert pools == ([True] if kind == "patch" else [])
    _finish(_start(teacher_file, photo_folders, killed, kind))
    expected, found = (teachers.load(out).get_weights() for out in (whole, killed))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(other, one)
