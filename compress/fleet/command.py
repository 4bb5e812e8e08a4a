"""Commands of this program in processes of their own, for what they print."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from compress.console.parent import PARENT
from compress.errors import PocketGANError


class CommandFailed(PocketGANError):
    """Error of a command, whose last line says why; its exit code is kept."""

    def __init__(self, arguments: Sequence[str], exit_code: int, said: str) -> None:
        super().__init__(f"compress {' '.join(arguments)} ended with {exit_code}: {said}")
        self.exit_code = exit_code


def run_module(module: str, arguments: Sequence[str], *, given: str = "", environment: Mapping[str, str] = {}) -> str:
    """Run a module as a program and return what it prints on stdout; it ends with this process.

    Args:
        module: Its dotted name.
        arguments: Its command line.
        given: Its stdin.
        environment: Variables to set beside this process's.

    Raises:
        CommandFailed: With its exit code, and the last line that it wrote to stderr.
    """
    variables = os.environ | {PARENT: str(os.getpid())} | dict(environment)
    command = [sys.executable, "-P", "-m", module, *arguments]
    finished = subprocess.run(
        command, input=given, capture_output=True, text=True, errors="replace", check=False, env=variables
    )
    if finished.returncode != 0:
        said = finished.stderr.strip().splitlines() or ["nothing"]
        exit_code = finished.returncode if finished.returncode > 0 else 128 - finished.returncode
        raise CommandFailed(arguments, exit_code, said[-1])
    return finished.stdout
