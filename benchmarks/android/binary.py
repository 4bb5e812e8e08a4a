"""The `benchmark_model` that the user brings: its check, and the command line that runs it on a phone."""

import struct
from pathlib import Path
from typing import Any

from benchmarks.android.config import PUBLISHED_AT, Backend
from benchmarks.android.facts import core_mask
from compress.errors import UnusableModel

_MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a"}
"""Values of `e_machine` of an ELF file, and Android's names of them."""
_RUNS_ALSO: dict[str, tuple[str, ...]] = {"arm64-v8a": ("armeabi-v7a",), "x86_64": ("x86",)}
_FLAGS: dict[Backend, str] = {"cpu": "--use_xnnpack=true", "gpu": "--use_gpu=true", "nnapi": "--use_nnapi=true"}


def read_binary(path: Path, *, abi: str | None) -> bytes:
    """Read the program, and refuse one that the phone cannot start.

    Args:
        path: On this machine.
        abi: The phone's instruction set, such as arm64-v8a; None where it does not say.

    Raises:
        UnusableModel: If it is missing, no program, or one for another processor.
    """
    if not path.is_file():
        raise UnusableModel(f"{path} does not exist; expected benchmark_model, published at {PUBLISHED_AT}.")
    content = path.read_bytes()
    if len(content) < 20 or not content.startswith(b"\x7fELF"):
        raise UnusableModel(f"{path} is no program for Android; expected benchmark_model, published at {PUBLISHED_AT}.")
    number = struct.unpack_from("<H", content, 18)[0]
    built_for = _MACHINES.get(number, f"machine {number}")
    if abi is not None and built_for not in (abi, *_RUNS_ALSO.get(abi, ())):
        raise UnusableModel(f"{path} is built for {built_for}, but the phone runs {abi}; take the one for {abi}.")
    return content


def device_command(folder: str, backend: Backend, flags: dict[str, Any], *, cores: list[int]) -> list[str]:
    """Return the command that runs a model on the phone.

    Args:
        folder: The phone's folder with the binary in it.
        backend: The delegate that runs the model. On GPU and NNAPI, XNNPACK runs the operators that their delegate
            leaves over, as in an app.
        flags: Flags of benchmark_model, without dashes.
        cores: The cores to stay on; any core if empty.
    """
    pinned = ["taskset", core_mask(cores)] if cores else []
    arguments = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in flags.items()
    ]
    return [*pinned, f"{folder}/benchmark_model", _FLAGS[backend], *arguments]
