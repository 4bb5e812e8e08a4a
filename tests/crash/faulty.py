"""`python faulty.py MODULE…` runs `compress` where the file system fails at one call, as often as it is asked to.

Python tells of every call that changes files before it is made (PEP 578), so a command can be killed between any two of
them, or be told at any of them that the disk is full. What libraries write in C is not seen; they write inside folders
that were made under such a call.

The modules are loaded once, since TensorFlow takes longer to load than a tiny training. Then each line of standard
input, a JSON object of a `Run`'s fields, is run in a fork of this process and answered with a line of JSON: `exit_code`
and `changes`, the number of calls that changed files.
"""

import errno
import json
import mmap
import os
import signal
import struct
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from states import save

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_LONGEST_S = 300
MAKES_NEW = "makes new"
"""Name of a change that needs room on the disk."""


@dataclass(frozen=True)
class Run:
    """A command line to run in a folder, with a fault at one of its changes below that folder."""

    fault: str
    """`none`, `kill` (at the `call`-th change), `pause` (there, until a file `go` lies beside the folder), `full` (from
    there on nothing new can be written) or `read-only`."""
    call: int
    folder: str
    said: str
    """File that gets all that the command prints."""
    arguments: list[str]
    forks: bool
    """Whether the stages of `compress run` are forks of this process, whose changes count, where they do not score."""
    states: str = ""
    """Folder to save the state before each change in; none if empty."""


class _Faults:
    """An audit hook that counts changes below a folder, of this process and its forks, and fails at one."""

    def __init__(self, run: Run, count: mmap.mmap) -> None:
        self._run, self._count = run, count

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        makes_new = event in ("os.mkdir", "open")
        if (event != "open" or not _opens_for_writing(arguments)) and event not in _CHANGES:
            return
        if not _lies_below(arguments[0], self._run.folder):
            return
        count = _read(self._count) + 1
        self._count[:8] = struct.pack("q", count)
        if self._run.states:
            save(Path(self._run.folder), Path(self._run.states), count, MAKES_NEW if makes_new else event)
        if self._run.fault == "kill" and count == self._run.call:
            # With all that it started, as where a machine stops.
            os.killpg(0, signal.SIGKILL)
        if self._run.fault == "pause" and count == self._run.call:
            _pause(Path(self._run.folder).parent)
        if self._run.fault == "full" and count >= self._run.call and makes_new:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(arguments[0]))
        if self._run.fault == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(arguments[0]))


def _pause(place: Path) -> None:
    (place / "paused").touch()
    while not (place / "go").exists():
        time.sleep(0.02)


def _read(count: mmap.mmap) -> int:
    return struct.unpack("q", count[:8])[0]


def _opens_for_writing(arguments: tuple[Any, ...]) -> bool:
    path, mode, flags = arguments
    if isinstance(path, int):
        return False
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & _WRITES)


def _lies_below(path: Any, root: str) -> bool:
    if isinstance(path, int):
        return False
    return os.path.abspath(os.fsdecode(path)).startswith(root + os.sep)


def main() -> None:
    for module in sys.argv[1:]:
        import_module(module)
    if "tensorflow" in sys.modules:
        # Compiling a training step takes longer than two of them.
        sys.modules["tensorflow"].config.run_functions_eagerly(True)
    # Loaded before anything is counted: what Python compiles is no work of the command's.
    from compress import cli, console

    count = mmap.mmap(-1, 8)
    for line in sys.stdin:
        count[:8] = bytes(8)
        if (child := os.fork()) == 0:
            run = Run(**json.loads(line))
            _prepare(run, count)
            raise SystemExit(console.run(cli.app))
        _, status = os.waitpid(child, 0)
        print(json.dumps({"exit_code": os.waitstatus_to_exitcode(status), "changes": _read(count)}), flush=True)


def _prepare(run: Run, count: mmap.mmap) -> None:
    """Make this fork what a shell would start in the run's folder; then let its file system fail."""
    os.setpgid(0, 0)
    signal.alarm(_LONGEST_S)
    os.chdir(run.folder)
    os.environ["POCKETGAN_CACHE"] = str(Path(run.folder) / "cache")
    said = os.open(run.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    sys.argv = ["compress", *run.arguments]
    if run.forks:
        _fork_stages()
    sys.addaudithook(_Faults(run, count))


def _fork_stages() -> None:
    """Let `compress run` fork this process for its stages, but for scoring: PyTorch and TensorFlow never meet."""
    from compress import cli, console
    from compress.run import stages

    start = stages._run_to_end

    def run_to_end(command: list[str]) -> int:
        arguments = command[command.index("compress") + 1 :]
        if arguments[:2] == ["eval", "score"]:
            return start(command)
        if (stage := os.fork()) == 0:
            code = console.run(cli.app, arguments)
            sys.stdout.flush()
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(stage, 0)[1])

    stages._run_to_end = run_to_end


if __name__ == "__main__":
    main()
