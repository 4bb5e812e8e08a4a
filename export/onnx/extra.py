"""The extra that ONNX export needs, asked for without loading it."""

import importlib.util

from compress.console.installing import install_command
from compress.errors import UsageError


def check_onnx() -> None:
    """Check that the package onnx is installed, without loading it.

    Raises:
        UsageError: If it is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise UsageError(f"ONNX files need the package onnx: {install_command('onnx')}.")
