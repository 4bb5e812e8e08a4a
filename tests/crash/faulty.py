"""`python faulty.py FAULT CALL ROOT COUNTED ARGUMENT…` runs `compress` where the file system fails at one call.

Python tells of every call that changes files before it is made (PEP 578), so a command can be killed between any two of
them, or be told at any of them that the disk is full. What libraries write in C is not seen; they write inside folders
that were made under such a call.

FAULT is `none`, `kill` (at the CALL-th change below ROOT), `full` (from there on nothing new can be written) or
`read-only`. COUNTED is a file that gets the number of changes.
"""

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _Faults:
    """An audit hook that counts changes below a folder and fails at one."""

    def __init__(self, fault: str, call: int, root: str) -> None:
        self.count = 0
        self._fault, self._call, self._root = fault, call, root

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        makes_new = event in ("os.mkdir", "open")
        if (event != "open" or not _opens_for_writing(arguments)) and event not in _CHANGES:
            return
        if not _lies_below(arguments[0], self._root):
            return
        self.count += 1
        if self._fault == "kill" and self.count == self._call:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "full" and self.count >= self._call and makes_new:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fsdecode(arguments[0]))
        if self._fault == "read-only":
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), os.fsdecode(arguments[0]))


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
    fault, call, root, counted, *arguments = sys.argv[1:]
    sys.argv = ["compress", *arguments]
    # Loaded before anything is counted: what Python compiles is no work of the command's.
    from compress import cli, console

    faults = _Faults(fault, int(call), os.path.abspath(root))
    sys.addaudithook(faults)
    code = console.run(cli.app)
    Path(counted).write_text(str(faults.count), encoding="utf-8")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
