"""Two processes that train one student: as one would, and again from the checkpoint where one is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compress.cache.machine import count_cores

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(900)]

FLAGS = {
    "--image-size-px": 32, "--width": 8, "--blocks": 1, "--steps": 12, "--batch-size": 4, "--learning-rate": 1e-4,
    "--adversarial-weight": 1, "--adversarial-from-step": 1, "--discriminator": "patch", "--discriminator-filters": 4,
    "--l1-final-scale": 0.5, "--sample-every": 6, "--checkpoint-every": 2, "--precision": "float32", "--holdout": 2,
}  # fmt: skip
TEACH_FLAGS = {
    "--image-size-px": 32, "--filters": 4, "--blocks": 1, "--steps": 6, "--decay-steps": 2, "--batch-size": 2,
    "--sample-every": 3, "--checkpoint-every": 2, "--normalization": "batch", "--precision": "float32",
}  # fmt: skip
TOLERANCE = 1e-5
"""Largest mean difference of a net's weights, a tenth of what a step moves one by; 2e-11 to 1.4e-6 were measured. A
weight whose gradient is nothing but rounding may differ by two such steps."""


@pytest.fixture
def line(teacher_file: Path, photo_folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    recipe = tmp_path_factory.mktemp("recipe") / "small.toml"
    recipe.write_text("[distill]\nsteps = 12\n")

    def call(out: Path) -> list[str]:
        flags = [str(part) for flag in FLAGS.items() for part in flag]
        places = ["--teacher", str(teacher_file), "--data", str(photo_folders), "--out", str(out)]
        return ["distill", *places, "--recipe", str(recipe), "--no-watch-kid", *flags]

    return call


def _start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", "-m", "compress", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(run: "subprocess.Popen[str]") -> tuple[str, str]:
    printed, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    return printed, said


def _find_second_process(out: Path) -> int | None:
    """Return the process that trains with the one that writes `out`."""
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b'"index": 1' in environment and b"distill" in words and str(out).encode() not in words:
            return int(place.name)
    return None


def _weights(out: Path) -> list[np.ndarray]:
    from compress.teachers.student import load_student

    return load_student(out / "model.keras").get_weights()


def _wait_for_checkpoint(out: Path, run: "subprocess.Popen[str]") -> None:
    checkpoint = out.with_name(f"{out.name}.training") / "checkpoint.npz"
    while not checkpoint.exists():
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.05)


def _require_alike(one: list[np.ndarray], two: list[np.ndarray]) -> None:
    apart = [np.abs(found - expected) for expected, found in zip(one, two, strict=True)]
    together = np.concatenate([values.ravel() for values in apart])
    print(f"mean difference {together.mean():.2g}, largest {together.max():.2g}")
    assert together.mean() <= TOLERANCE


def test_a_command_that_was_killed_goes_on_on_two_devices(line: Any, tmp_path: Path) -> None:
    if (count_cores() or 1) < 2:
        pytest.skip("this machine has one core")
    one, two = tmp_path / "one", tmp_path / "two"
    _finish(_start(*line(one)))
    killed = _start(*line(two))
    _wait_for_checkpoint(two, killed)
    killed.kill()
    killed.communicate()
    _, said = _finish(_start(*line(two), "--devices", "2"))
    assert "training on 2 devices" in said
    assert "goes on after step" in said
    _require_alike(_weights(one), _weights(two))


def test_a_cyclegan_is_taught_on_two_devices_as_on_one(photo_folders: Path, tmp_path: Path) -> None:
    if (count_cores() or 1) < 2:
        pytest.skip("this machine has one core")
    taught = []
    for devices in ("1", "2"):
        out = tmp_path / devices
        flags = [str(part) for flag in TEACH_FLAGS.items() for part in flag]
        places = ["--data", str(photo_folders), "--out", str(out), "--no-watch-kid", "--devices", devices]
        _finish(_start("teach", *places, *flags))
        taught.append([value for name in ("g_a2b.h5", "g_b2a.h5") for value in _kernels(out / name)])
        assert len(taught[-1]) == 16
    _require_alike(*taught)


def _kernels(path: Path) -> list[np.ndarray]:
    """Return a generator's kernels in the order of its layers, whose names count those of all nets."""
    with h5py.File(path) as stored:
        weights: Any = stored["model_weights"]
        names = [name.decode() if isinstance(name, bytes) else name for name in weights.attrs["layer_names"]]
        layers = [weights[name][name] for name in names if name in weights[name]]
        return [np.asarray(layer["kernel"]) for layer in layers if "kernel" in layer]


def test_two_processes_train_as_one_and_go_on_when_one_is_killed(line: Any, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    one, two = tmp_path / "one", tmp_path / "two"
    _finish(_start(*line(one)))

    gang = _start("launch", "--nodes", "2", *line(two))
    _wait_for_checkpoint(two, gang)
    second = _find_second_process(two)
    assert second is not None
    os.kill(second, signal.SIGKILL)
    printed, said = _finish(gang)
    assert "process 2 of 2 is lost (signal 9); starting again from the last checkpoint, 1 of 3" in said
    assert "goes on after step" in said
    assert "two" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    _require_alike(_weights(one), _weights(two))
