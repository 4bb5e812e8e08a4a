"""`compress teach` as a user runs it, killed at any moment, on any of Keras's backends."""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

FLAGS = {
    "--image-size-px": 64,
    "--half-size-steps": 5,
    "--steps": 10,
    "--decay-steps": 4,
    "--filters": 4,
    "--blocks": 1,
    "--identity-weight": 0,
    "--pool-size": 2,
    "--ema-momentum": 0.5,
    "--sample-every": 2,
    "--checkpoint-every": 1,
    # As the faster one of the two, which is close for so small nets, each run would choose its own.
    "--precision": "float32",
}
FEW_STEPS = FLAGS | {"--half-size-steps": 3, "--steps": 6, "--decay-steps": 2}
FINAL = ("g_a2b.h5", "g_b2a.h5")

# Step by step and on one thread, since TensorFlow's compiled steps are not repeatable: of 30 runs that nobody killed
# one to four differed from the others, first by 1e-9. What is saved and restored is the same either way.
_EAGER = """
import runpy
import tensorflow
tensorflow.config.threading.set_intra_op_parallelism_threads(1)
tensorflow.config.run_functions_eagerly(True)
runpy.run_module("compress", run_name="__main__", alter_sys=True)
"""

# Ends itself after a checkpoint's bytes are written and before they have the checkpoint's name.
_DIES_WRITING_ITS_THIRD_CHECKPOINT = f"""
import itertools, os, signal
flushes = itertools.count(1)
os.fsync = lambda _: next(flushes) == 3 and os.kill(os.getpid(), signal.SIGKILL)
{_EAGER}
"""

_WITHOUT_TENSORFLOW = """
import runpy, sys
try:
    runpy.run_module("compress", run_name="__main__", alter_sys=True)
finally:
    assert not sys.modules.get("tensorflow")
"""


def _start(
    program: str, flags: Mapping[str, object], data: Path, out: Path, **environment: str
) -> subprocess.Popen[str]:
    given = [str(part) for flag in flags.items() for part in flag]
    line = ["teach", "--data", str(data), "--out", str(out), "--no-watch-kid", *given]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, *line],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def _finish(run: subprocess.Popen[str]) -> None:
    _, message = run.communicate()
    assert run.returncode == 0, message


def _kill(run: subprocess.Popen[str], reached: Callable[[], bool], delay_s: float) -> None:
    """Kill a run when it has reached something and some time has passed."""
    while not reached():
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.02)
    time.sleep(delay_s)
    assert run.poll() is None, "the run ended before it could be killed"
    run.kill()
    run.communicate()


def _work(out: Path) -> Path:
    return out.with_name(f"{out.name}.training")


def _checkpoint(out: Path) -> int:
    path = _work(out) / "checkpoint.npz"
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
def test_a_run_killed_at_five_moments_ends_like_one_that_never_was(photo_folders: Path, tmp_path: Path) -> None:
    moments = random.Random(20)
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def start(program: str = _EAGER, out: Path = killed) -> subprocess.Popen[str]:
        return _start(program, FLAGS, photo_folders, out)

    undisturbed = start(out=whole)
    # Before the first checkpoint: nothing to go on from yet.
    _kill(start(), (_work(killed) / "tensorboard").exists, 0)
    # At half size, while a checkpoint is written.
    dying = start(_DIES_WRITING_ITS_THIRD_CHECKPOINT)
    dying.communicate()
    assert (dying.returncode, _checkpoint(killed)) == (-signal.SIGKILL, 2)
    assert (_work(killed) / "checkpoint.npz.partial").exists()
    # At half size, then at full size in the run that changed the size and in one that began there; each loses what
    # it has in hand.
    for step in (3, 6, 8):
        _kill(start(), lambda step=step: _checkpoint(killed) >= step, moments.uniform(0, 0.3))
    _finish(start())
    _finish(undisturbed)
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
    # The discriminator's loss, since its kernels are divided by something that each call changes.
    flags, out = FEW_STEPS | {"--adversarial-loss": "wasserstein"}, tmp_path / "taught"
    run = _start(_WITHOUT_TENSORFLOW, flags, photo_folders, out, KERAS_BACKEND=backend)
    _kill(run, lambda: _checkpoint(out) >= 1, 0)
    _finish(_start(_WITHOUT_TENSORFLOW, flags, photo_folders, out, KERAS_BACKEND=backend))
    for name in FINAL:
        weights = [value for key, value in _weights(out / name).items() if key.startswith("model_weights")]
        assert len(weights) > 10
        assert all(np.isfinite(value).all() for value in weights)
