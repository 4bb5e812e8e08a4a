"""`compress teach` as a user runs it, killed at any moment, on any of Keras's backends."""

import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

FLAGS = {
    "--image-size-px": 64,
    "--half-size-steps": 3,
    "--steps": 6,
    "--decay-steps": 2,
    "--filters": 4,
    "--blocks": 1,
    "--identity-weight": 0,
    "--pool-size": 2,
    "--ema-momentum": 0.5,
    "--sample-every": 2,
    "--checkpoint-every": 1,
}
FINAL = ("g_a2b.h5", "g_b2a.h5")

# Compiling the step would take longer than all steps of the test.
_EAGER = """
import runpy
import tensorflow
tensorflow.config.run_functions_eagerly(True)
runpy.run_module("compress", run_name="__main__", alter_sys=True)
"""

_WITHOUT_TENSORFLOW = """
import runpy, sys
try:
    runpy.run_module("compress", run_name="__main__", alter_sys=True)
finally:
    assert not sys.modules.get("tensorflow")
"""


def _start(program: str, data: Path, out: Path, *switches: str, **environment: str) -> subprocess.Popen[str]:
    flags = [str(part) for flag in FLAGS.items() for part in flag]
    line = ["teach", "--data", str(data), "--out", str(out), "--no-watch-kid", *flags, *switches]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def _finish(run: subprocess.Popen[str]) -> None:
    _, said = run.communicate()
    assert run.returncode == 0, said


def _kill_after(run: subprocess.Popen[str], out: Path, step: int, delay_s: float) -> None:
    """Kill a run when it has reached a step's checkpoint and some time has passed."""
    while _checkpoint(out) < step:
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.02)
    time.sleep(delay_s)
    assert run.poll() is None, "the run ended before it could be killed"
    run.kill()
    run.communicate()


def _checkpoint(out: Path) -> int:
    path = out.with_name(f"{out.name}.training") / "checkpoint.npz"
    if not path.exists():
        return 0
    with np.load(path) as stored:
        return int(stored["step"])


def _weights(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.timeout(900)
def test_a_run_killed_again_and_again_ends_like_one_that_never_was(photo_folders: Path, tmp_path: Path) -> None:
    moments = random.Random(20)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    _finish(_start(_EAGER, photo_folders, whole))
    # In the middle of the half size, then in the middle of the full size; what it had in hand then is lost.
    for step in (2, 4):
        _kill_after(_start(_EAGER, photo_folders, killed), killed, step, moments.uniform(0, 0.3))
    _finish(_start(_EAGER, photo_folders, killed))
    for name in FINAL:
        expected, found = _weights(whole / name), _weights(killed / name)
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_trains_and_goes_on_after_a_kill(backend: str, photo_folders: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    # The critic's loss, since its kernels are divided by something that each call changes.
    options, environment = ("--adversarial-loss", "wasserstein"), {"KERAS_BACKEND": backend}
    out = tmp_path / "taught"
    run = _start(_WITHOUT_TENSORFLOW, photo_folders, out, *options, **environment)
    _kill_after(run, out, 1, 0)
    _finish(_start(_WITHOUT_TENSORFLOW, photo_folders, out, *options, **environment))
    for name in FINAL:
        weights = [value for key, value in _weights(out / name).items() if key.startswith("model_weights")]
        assert len(weights) > 10
        assert all(np.isfinite(value).all() for value in weights)
