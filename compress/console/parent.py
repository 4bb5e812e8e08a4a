"""Children end with the process that started them, however that ends: nobody works on for one that is gone."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping

PARENT = "POCKETGAN_PARENT"
"""Environment variable with the process number of who started a command and wants it to end with it."""
_PR_SET_PDEATHSIG = 1


def child_variables(more: Mapping[str, str] = {}) -> dict[str, str]:
    """Return the environment of a command that is to end with this process: this one's own, and more."""
    return {**os.environ, **more, PARENT: str(os.getpid())}


def follow_parent() -> None:
    """Have this process killed when its parent ends, where the parent asked for that."""
    if (parent := os.environ.pop(PARENT, None)) is not None:
        die_with_parent(int(parent))


def die_with_parent(parent: int) -> None:
    """Have this process killed when the thread that started it ends, however that ends; on Linux alone.

    Args:
        parent: Process number of the parent, which may have ended already.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
