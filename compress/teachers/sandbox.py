"""Read a stranger's model file in a child process with limits on memory and time.

HDF5 and zip readers crash, hang or eat all memory on torn and hostile files (2 segfaults and 6 hangs in 2,900 files with
flipped bytes): the child dies of it, the command says so in one line. It also keeps PyTorch out of TensorFlow's process.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from compress.errors import UnusableModel
from compress.teachers.description import GeneratorDescription

TIME_LIMIT_S = 180
ADDRESS_SPACE_BYTES = 24 << 30
"""PyTorch with CUDA maps 11 GB of libraries before it reads a byte."""


def describe_in_child(path: Path, *options: str) -> GeneratorDescription:
    """Run `compress.teachers.read` on a file in a child process.

    Raises:
        UnusableModel: With the child's own words if it refused the file, else that it crashed or ran out of time.
    """
    with tempfile.TemporaryDirectory(prefix="pocketgan-") as scratch:
        result = Path(scratch) / "description.npz"
        command = [sys.executable, "-m", "compress.teachers.read", str(path), str(result), *options]
        try:
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=TIME_LIMIT_S, preexec_fn=_limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UnusableModel(f"{path} could not be read within {TIME_LIMIT_S} s; the file is damaged.") from error
        if child.returncode == UnusableModel.exit_code:
            raise UnusableModel(f"{path}: {child.stderr.strip()}")
        if child.returncode != 0 or not result.exists():
            raise UnusableModel(f"{path} could not be read: the reader died of it; the file is damaged.")
        return GeneratorDescription.load(result)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
