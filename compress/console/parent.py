"""Stages end with the run that started them, however that ends: nobody trains on for a run that is gone."""

import ctypes
import os
import signal
import sys

PARENT = "POCKETGAN_PARENT"
"""Environment variable with the process number of who started this one and wants it to end with it."""
_PR_SET_PDEATHSIG = 1


def follow_parent() -> None:
    """Ask the system to kill this process when its parent dies, where a parent asked for that and the system can."""
    parent = os.environ.pop(PARENT, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        # It died before it could be followed.
        os.kill(os.getpid(), signal.SIGKILL)
