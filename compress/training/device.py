"""What training computes on, checked against `--device` before any work is done."""

import logging
import os
import time
from collections.abc import Callable

import keras

from compress.console.device import DEVICE
from compress.errors import UsageError

_log = logging.getLogger(__name__)


def require_device() -> None:
    """Check that the backend has the device that was asked for, and say what it computes on.

    Raises:
        UsageError: If a GPU was asked for and the backend sees none.
    """
    gpus = find_gpus()
    if os.environ.get(DEVICE, "auto").startswith("gpu") and not gpus:
        raise UsageError(
            f"--device {os.environ[DEVICE]}: {keras.backend.backend()} sees no GPU. `compress doctor --deep` tells "
            "what each framework sees; --device cpu trains on the processor."
        )
    _log.info("training on %s", ", ".join(gpus) if gpus else "the processor")


def choose_trial_clock() -> Callable[[], float]:
    """Return the clock, seconds, by which a trial tells what is faster here.

    On CPUs it counts what this process computed: on a busy machine a short step waits many times as long as it takes.
    """
    return time.perf_counter if find_gpus() else time.process_time


def find_gpus() -> list[str]:
    """Return the names of the GPUs that Keras's backend sees."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return [device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices("GPU")]
    if backend == "jax":
        import jax  # pyright: ignore[reportMissingImports]

        return [str(device) for device in jax.devices() if device.platform != "cpu"]
    # PyTorch's arrays lie where Keras computes: on `cuda:0`, on Apple's `mps:0`, or on `cpu`.
    device = str(keras.ops.zeros(()).device)
    return [] if device.startswith("cpu") else [device]
