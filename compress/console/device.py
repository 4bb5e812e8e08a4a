"""`--device`: where training computes, told to Keras's backend before it looks for accelerators.

A variable of the environment carries the choice, so that every stage of a run has it, and a backend that is loaded
later than the command line was read still obeys it.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from compress.console.environment import variables_set
from compress.errors import UsageError

DEVICE = "POCKETGAN_DEVICE"
"""Environment variable that holds the device that was asked for."""
_CUDA, _JAX = "CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"
_KINDS = re.compile(r"auto|cpu|gpu(?::(?P<number>\d{1,3}))?")


@contextmanager
def device_chosen(device: str | None) -> Iterator[None]:
    """Have Keras's backend compute on a device, inside the block, if it was not loaded before.

    Args:
        device: `auto` (a GPU where the backend sees one), `cpu`, `gpu`, or `gpu:1` for the second one; None leaves
            what the environment says.

    Raises:
        UsageError: If it is none of these, or no GPU of that number is visible.
    """
    with variables_set({} if device is None else _settings(device)):
        yield


def _settings(device: str) -> dict[str, str]:
    """Return the variables of the environment that make a backend use a device."""
    kind = _KINDS.fullmatch(device)
    if kind is None:
        raise UsageError(f"--device {device!r}, expected auto, cpu, gpu, or gpu:N with N from 0.")
    chosen = {DEVICE: device}
    if device == "cpu":
        return chosen | {_CUDA: "-1", _JAX: "cpu"}
    if (number := kind["number"]) is not None:
        return chosen | {_CUDA: _name_gpu(int(number))}
    return chosen


def _name_gpu(number: int) -> str:
    """Return what the driver calls a GPU, counted among those that the environment leaves visible."""
    if (visible := os.environ.get(_CUDA)) is None:
        return str(number)
    names = [name.strip() for name in visible.split(",")]
    if number >= len(names):
        raise UsageError(f"--device gpu:{number}, but {_CUDA}={visible} leaves {len(names)} visible, counted from 0.")
    return names[number]
