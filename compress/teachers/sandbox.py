"""Sandbox: reads an untrusted model file in a child process with limits on memory and time.

HDF5 and zip readers crash, hang or eat all memory on torn and hostile files (2 segfaults and 6 hangs in 2,900 files
with flipped bytes): the child dies of it, the command says so in one line. It also keeps PyTorch out of TensorFlow's
process.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription

TIME_LIMIT_S = 180

Content = Literal["generator", "state_dict"]
"""What a file is read for."""


def describe_in_child(path: Path, *, lambda_layers: str | None = None) -> GeneratorDescription:
    """Run `compress.teachers.read` on a generator's file in a child process.

    Args:
        path: The file or SavedModel directory.
        lambda_layers: Operation of the file's `Lambda` layers, see `compress.teachers.load`.

    Raises:
        UnusableModel: With the child's own words if it refused the file, else that it crashed or ran out of time.
    """
    with _read_in_child("generator", path, *([lambda_layers] if lambda_layers else [])) as result:
        return GeneratorDescription.load(result)


def state_dict_in_child(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a PyTorch state dict in a child process, by their names.

    Raises:
        UnusableModel: As `describe_in_child`.
    """
    with _read_in_child("state_dict", path) as result, np.load(result, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


@contextmanager
def _read_in_child(content: Content, path: Path, *options: str) -> Iterator[Path]:
    """Yield the `.npz` that the child wrote; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        result = Path(scratch) / "content.npz"
        # -P keeps modules that lie in the working directory from standing in for numpy or h5py.
        command = [sys.executable, "-P", "-m", "compress.teachers.read", content, str(path.resolve()), str(result)]
        try:
            child = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIME_LIMIT_S,
                check=False,
                env=_environment(),
            )
        except subprocess.TimeoutExpired as error:
            raise UnusableModel(f"{path} could not be read within {TIME_LIMIT_S} s; the file is damaged.") from error
        if child.returncode == UnusableModel.exit_code:
            raise UnusableModel(f"{path}: {child.stderr.strip().splitlines()[-1]}")
        if child.returncode != 0 or not result.exists():
            raise UnusableModel(f"{path} could not be read: {_cause_of_death(child.returncode)}; the file is damaged.")
        yield result


def _environment() -> dict[str, str]:
    """Return the child's environment: no GPU, quiet libraries, and no HDF5 filter plugins that a file could ask for."""
    return os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "HDF5_PLUGIN_PRELOAD": "::"}


def _cause_of_death(returncode: int) -> str:
    if returncode < 0:
        return f"the reader was ended by {signal.Signals(-returncode).name}"
    return f"the reader ended with code {returncode}"
