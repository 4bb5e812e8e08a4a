"""Sandbox: reads an untrusted model file in a child process with limits on memory and time.

HDF5 and zip readers crash, hang or eat all memory on torn and hostile files (2 segfaults and 6 hangs in 2,900 files
with flipped bytes): the child dies of it, the command says so in one line. The child sets its limits itself, and the
system enforces them (`limits`). A SavedModel is read by TensorFlow there, which this process does without.
"""

import json
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

from compress.errors import UnsupportedLayer, UnusableModel, UsageError
from compress.printable import printable
from compress.teachers.description import GeneratorDescription
from compress.teachers.limits import READING_S
from compress.teachers.read import CANNOT_WRITE
from compress.teachers.reading.config import AS_FOUND, ReadingConfig

STARTING_S = 240
"""Seconds that a child may take to load a framework, on a busy machine, before its own clock starts."""
_OUT_OF_TIME = (signal.SIGALRM, signal.SIGXCPU)

Content = Literal["generator", "state_dict", "student", "keras_model"]
"""What a file is read for; the last is checked alone, for Keras to load."""


def describe_in_child(path: Path, reading: ReadingConfig = AS_FOUND) -> GeneratorDescription:
    """Run `compress.teachers.read` on a generator's file in a child process.

    Args:
        path: The file or SavedModel directory.
        reading: What the user says about the file and its reader must know.

    Raises:
        UnusableModel: With the child's own words if it refused the file, else that it crashed or ran out of time.
        OSError: If the folder for temporary files is full.
    """
    with _read_in_child("generator", path, json.dumps(reading.said())) as result:
        return GeneratorDescription.load(result)


def describe_student_in_child(path: Path) -> GeneratorDescription:
    """Describe a student's `.keras` file in a child process, and check it, so that Keras can load it in this one.

    Raises:
        UnusableModel: As `describe_in_child`.
        UnsupportedLayer: If it holds a layer that no student has.
        OSError: As `describe_in_child`.
    """
    with _read_in_child("student", path) as result:
        return GeneratorDescription.load(result)


def state_dict_in_child(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a PyTorch state dict in a child process, by their names.

    Raises:
        UnusableModel: As `describe_in_child`.
        OSError: As `describe_in_child`.
    """
    with _read_in_child("state_dict", path) as result, np.load(result, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def check_saved_model_in_child(path: Path) -> None:
    """Check a `.keras` file of any Keras model in a child process, so that Keras can load it in this one.

    Raises:
        UnusableModel: As `describe_in_child`.
    """
    run_in_child("compress.teachers.read", "keras_model", str(path.resolve()), os.devnull, path=path)


@contextmanager
def _read_in_child(content: Content, path: Path, *options: str) -> Iterator[Path]:
    """Yield the file that the child wrote; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        result = Path(scratch) / "content"
        run_in_child("compress.teachers.read", content, str(path.resolve()), str(result), *options, path=path)
        yield result


def run_in_child(module: str, *arguments: str, path: Path) -> None:
    """Run a module of ours that opens a stranger's file, and turn how it ends into an error of the file.

    The module calls `die_with_parent` with its first argument, then, its libraries loaded, `limit_reading`; it
    ends with `read.print_reason`, `read.CANNOT_WRITE` or 0.

    Args:
        module: Its dotted name.
        arguments: Its command line after this process's number.
        path: The file as errors call it.

    Raises:
        UnusableModel: With the child's own words if it refused the file, else that it crashed or ran out of time.
        UnsupportedLayer: If the child said so.
        UsageError: If what the user says of the file does not go with it.
        OSError: If it could not write its result.
    """
    # -P keeps modules that lie in the working directory from standing in for numpy or h5py.
    command = [sys.executable, "-P", "-m", module, str(os.getpid()), *arguments]
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STARTING_S + READING_S,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise UnusableModel(f"{path} could not be read: its reader did not start in {STARTING_S} s.") from error
    last_line = (child.stderr.strip().splitlines() or [""])[-1]
    if child.returncode == CANNOT_WRITE and last_line.isdigit():
        raise OSError(int(last_line), os.strerror(int(last_line)), tempfile.gettempdir())
    if child.returncode == UnusableModel.exit_code and last_line:
        raise UnusableModel(f"{path}: {printable(last_line)}")
    if child.returncode == UsageError.exit_code and last_line:
        raise UsageError(f"{path}: {printable(last_line)}")
    if child.returncode == UnsupportedLayer.exit_code and last_line:
        raise UnsupportedLayer(f"{path}: {printable(last_line)}")
    if child.returncode != 0:
        raise UnusableModel(f"{path} could not be read: {_cause_of_death(child.returncode)}; the file is damaged.")


def _environment() -> dict[str, str]:
    """Return the child's environment: no GPU, one thread, quiet libraries, no HDF5 plugins that a file could ask for.

    Each thread reserves address space, by which memory is limited.
    """
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "HDF5_PLUGIN_PRELOAD": "::",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def _cause_of_death(returncode: int) -> str:
    if -returncode in _OUT_OF_TIME:
        return f"the reader was not done after {READING_S} s"
    if returncode < 0:
        return f"the reader was ended by {signal.Signals(-returncode).name}"
    return f"the reader ended with code {returncode}"
