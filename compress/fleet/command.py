"""Commands of this program in processes of their own, which end with this one."""

import subprocess
import sys
from collections.abc import Mapping, Sequence

from compress.console.parent import child_variables
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
    finished = subprocess.run(
        _command_line(module, arguments),
        input=given,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=child_variables(environment),
    )
    if finished.returncode != 0:
        said = finished.stderr.strip().splitlines() or ["nothing"]
        raise CommandFailed(arguments, _exit_code(finished.returncode), said[-1])
    return finished.stdout


def run_command(arguments: Sequence[str]) -> None:
    """Run a command of this program, whose progress goes to stderr and whose result to nowhere.

    Args:
        arguments: Its command line, without the program's name.

    Raises:
        CommandFailed: With its exit code; it has said why itself.
    """
    finished = subprocess.run(
        _command_line("compress", arguments), stdout=subprocess.DEVNULL, check=False, env=child_variables()
    )
    if finished.returncode != 0:
        raise CommandFailed(arguments, _exit_code(finished.returncode), "see above")


def _command_line(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]


def _exit_code(returned: int) -> int:
    """Return a process's exit code as a shell gives it: of one that a signal ended, 128 and its number."""
    return returned if returned >= 0 else 128 - returned
